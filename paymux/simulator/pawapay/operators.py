"""pawaPay's operators, as in https://docs.pawapay.io/v2/docs/providers.

The beginnings of numbers are those of https://docs.pawapay.io/v2/docs/test_numbers, which
predict-provider goes by here; what pawaPay goes by is not told.
"""

from collections.abc import Iterator

import msgspec


class Operator(msgspec.Struct, frozen=True):
    """One operator: what it is called, whose numbers it has, and how it takes money."""

    code: str
    country: str  # ISO 3166, three letters
    prefix: str  # the country's calling code
    stems: tuple[str, ...]  # beginnings of its numbers
    currencies: tuple[str, ...]
    decimals: int = 0
    auth: str = "PROVIDER_AUTH"


def _listed() -> Iterator[Operator]:
    for line in _TABLE.strip().splitlines():
        code, country, prefix, stems, currencies, decimals, auth = line.split()
        yield Operator(
            code, country, prefix, tuple(prefix + stem for stem in stems.split(",")),
            tuple(currencies.split(",")), int(decimals), auth,
        )  # fmt: skip


# Where deposits and payouts differ in decimals, those of deposits.
_TABLE = """
MTN_MOMO_BEN      BEN 229 51,97,0151,0197 XOF 0 PROVIDER_AUTH
MOOV_BEN          BEN 229 95,0195         XOF 0 PROVIDER_AUTH
MOOV_BFA          BFA 226 02              XOF 0 PROVIDER_AUTH
ORANGE_BFA        BFA 226 07              XOF 0 PREAUTH
MTN_MOMO_CMR      CMR 237 65,67           XAF 0 PROVIDER_AUTH
ORANGE_CMR        CMR 237 69              XAF 0 PROVIDER_AUTH
MTN_MOMO_CIV      CIV 225 05              XOF 0 PROVIDER_AUTH
ORANGE_CIV        CIV 225 07              XOF 0 PROVIDER_AUTH
WAVE_CIV          CIV 225 01              XOF 0 REDIRECT_AUTH
VODACOM_MPESA_COD COD 243 81              CDF,USD 2 PROVIDER_AUTH
AIRTEL_COD        COD 243 97              CDF,USD 2 PROVIDER_AUTH
ORANGE_COD        COD 243 89              CDF,USD 2 PROVIDER_AUTH
MPESA_ETH         ETH 251 7               ETB 2 PROVIDER_AUTH
AIRTEL_GAB        GAB 241 74              XAF 2 PROVIDER_AUTH
MTN_MOMO_GHA      GHA 233 59,24           GHS 2 PROVIDER_AUTH
AIRTELTIGO_GHA    GHA 233 27              GHS 2 PROVIDER_AUTH
VODAFONE_GHA      GHA 233 50              GHS 2 PROVIDER_AUTH
MPESA_KEN         KEN 254 70,71,72        KES 0 PROVIDER_AUTH
MPESA_LSO         LSO 266 1,5             LSL 2 PROVIDER_AUTH
AIRTEL_MWI        MWI 265 99              MWK 2 PROVIDER_AUTH
TNM_MWI           MWI 265 88              MWK 2 PROVIDER_AUTH
MOVITEL_MOZ       MOZ 258 1,86            MZN 0 PROVIDER_AUTH
VODACOM_MOZ       MOZ 258 84              MZN 2 PROVIDER_AUTH
AIRTEL_NGA        NGA 234 90              NGN 0 PROVIDER_AUTH
MTN_MOMO_NGA      NGA 234 81              NGN 2 PROVIDER_AUTH
AIRTEL_COG        COG 242 05              XAF 0 PROVIDER_AUTH
MTN_MOMO_COG      COG 242 06              XAF 0 PROVIDER_AUTH
AIRTEL_RWA        RWA 250 72,73           RWF 0 PROVIDER_AUTH
MTN_MOMO_RWA      RWA 250 78,79           RWF 0 PROVIDER_AUTH
FREE_SEN          SEN 221 76              XOF 0 PROVIDER_AUTH
ORANGE_SEN        SEN 221 77              XOF 0 PROVIDER_AUTH
WAVE_SEN          SEN 221 70              XOF 0 REDIRECT_AUTH
ORANGE_SLE        SLE 232 76              SLE 2 PROVIDER_AUTH
AIRTEL_TZA        TZA 255 68              TZS 2 PROVIDER_AUTH
VODACOM_TZA       TZA 255 76              TZS 0 PROVIDER_AUTH
TIGO_TZA          TZA 255 71              TZS 0 PROVIDER_AUTH
HALOTEL_TZA       TZA 255 62              TZS 0 PROVIDER_AUTH
AIRTEL_OAPI_UGA   UGA 256 75              UGX 0 PROVIDER_AUTH
MTN_MOMO_UGA      UGA 256 78              UGX 2 PROVIDER_AUTH
AIRTEL_OAPI_ZMB   ZMB 260 97              ZMW 2 PROVIDER_AUTH
MTN_MOMO_ZMB      ZMB 260 76,96           ZMW 2 PROVIDER_AUTH
ZAMTEL_ZMB        ZMB 260 95              ZMW 2 PROVIDER_AUTH
"""
OPERATORS = {one.code: one for one in _listed()}


def predicted(number: str) -> Operator | None:
    """Return the operator that a number probably has."""
    return next((one for one in OPERATORS.values() if number.startswith(one.stems)), None)


def wallets() -> dict[str, str]:
    """Return the wallets of an account that has all countries, by country and currency."""
    names = {f"{one.country}/{money}" for one in OPERATORS.values() for money in one.currencies}
    return dict.fromkeys(sorted(names), "1000000")
