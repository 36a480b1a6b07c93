"""Orders of the providers that show a page."""

PAGE = {"return_url": "https://shop.example/back", "description": "Data bundle"}
LEAVE = {**PAGE, "cancel_url": "https://shop.example/left"}
