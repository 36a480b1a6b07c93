// The page works without this: it counts down, and shows what was decided elsewhere.
const left = document.querySelector("[data-left]");
const again = () => location.replace(location.pathname + location.search);
if (left) {
  const end = performance.now() + 1000 * Number(left.dataset.left);
  const two = (number) => String(number).padStart(2, "0");
  const tick = () => {
    const seconds = Math.ceil((end - performance.now()) / 1000);
    if (seconds < 0) return again();
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    left.textContent = (hours ? `${hours}:${two(minutes)}` : minutes) + `:${two(seconds % 60)}`;
    setTimeout(tick, 1000);
  };
  tick();
  // A decision on the simulator's own page is seen when this window is looked at again, and, while
  // the phone asks, every two seconds of the first twenty.
  let asking = document.querySelector(".phone") ? 10 : 0;
  const look = async () => {
    if (document.hidden) return;
    const page = await fetch(location.href).then((answer) => answer.text(), () => "");
    if (page && !page.includes('data-status="pending"')) again();
  };
  addEventListener("focus", look);
  document.addEventListener("visibilitychange", look);
  const ask = () => asking-- > 0 && look().then(() => setTimeout(ask, 2000));
  setTimeout(ask, 2000);
}
addEventListener("pageshow", (event) => event.persisted && again());
