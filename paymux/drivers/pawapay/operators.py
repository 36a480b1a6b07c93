"""pawaPay's names of the operators: https://docs.pawapay.io/v2/docs/providers."""

from collections.abc import Mapping

from ...errors import UsageError
from ...models import Operator

# By the country's calling code. What has no word of ours is named by `extra={"provider": …}`:
# AIRTELTIGO_GHA, VODAFONE_GHA, TNM_MWI, MOVITEL_MOZ, TIGO_TZA, HALOTEL_TZA, ZAMTEL_ZMB.
_CODES: Mapping[str, Mapping[Operator, str]] = {
    "221": {"free": "FREE_SEN", "orange": "ORANGE_SEN", "wave": "WAVE_SEN"},
    "225": {"mtn": "MTN_MOMO_CIV", "orange": "ORANGE_CIV", "wave": "WAVE_CIV"},
    "226": {"moov": "MOOV_BFA", "orange": "ORANGE_BFA"},
    "229": {"moov": "MOOV_BEN", "mtn": "MTN_MOMO_BEN"},
    "232": {"orange": "ORANGE_SLE"},
    "233": {"mtn": "MTN_MOMO_GHA"},
    "234": {"airtel": "AIRTEL_NGA", "mtn": "MTN_MOMO_NGA"},
    "237": {"mtn": "MTN_MOMO_CMR", "orange": "ORANGE_CMR"},
    "241": {"airtel": "AIRTEL_GAB"},
    "242": {"airtel": "AIRTEL_COG", "mtn": "MTN_MOMO_COG"},
    "243": {"airtel": "AIRTEL_COD", "mpesa": "VODACOM_MPESA_COD", "orange": "ORANGE_COD"},
    "250": {"airtel": "AIRTEL_RWA", "mtn": "MTN_MOMO_RWA"},
    "251": {"mpesa": "MPESA_ETH"},
    "254": {"mpesa": "MPESA_KEN"},
    "255": {"airtel": "AIRTEL_TZA", "mpesa": "VODACOM_TZA"},
    "256": {"airtel": "AIRTEL_OAPI_UGA", "mtn": "MTN_MOMO_UGA"},
    "258": {"mpesa": "VODACOM_MOZ"},
    "260": {"airtel": "AIRTEL_OAPI_ZMB", "mtn": "MTN_MOMO_ZMB"},
    "265": {"airtel": "AIRTEL_MWI"},
    "266": {"mpesa": "MPESA_LSO"},
}
_CURRENCIES = "CDF ETB GHS KES LSL MWK MZN NGN RWF SLE TZS UGX USD XAF XOF ZMW"
CURRENCIES = frozenset(_CURRENCIES.split())
_COUNTRIES = "BF BJ CD CG CI CM ET GA GH KE LS MW MZ NG RW SL SN TZ UG ZM"
COUNTRIES = frozenset(_COUNTRIES.split())


def provider_of(operator: Operator, number: str) -> str:
    """Return pawaPay's name of an operator in the country of a number."""
    known = _CODES.get(number[:3], {})
    if operator not in known:
        accepted = f"{', '.join(known)} for +{number[:3]}, or extra={{'provider': 'TNM_MWI'}}"
        raise UsageError.field("operator", operator, accepted)
    return known[operator]


# The published numbers of the sandbox, whose last digits decide what happens
# (https://docs.pawapay.io/v2/docs/test_numbers; builders, testing.md). Most are numbers that
# phones can have; these are not.
_STEMS = ("22951345", "22995345", "22602345", "22607345", "251700000", "266100000", "258100000")
_ENDINGS = "000 019 029 039 048 049 050 059 060 068 069 089 099 109 118 119 128 129 138 678 789"
TEST_NUMBERS = frozenset(f"{stem}{ending}" for stem in _STEMS for ending in _ENDINGS.split())
