"""Documents that follow from no object: the one zone, the configuration."""

from collections.abc import Mapping

from orrery.api.xml.build import text


def zone(endpoint: str) -> str:
    return (
        "<ZONE><ID>0</ID><NAME>OpenNebula</NAME><STATE>0</STATE>"
        f"<TEMPLATE><ENDPOINT>{text(endpoint)}</ENDPOINT></TEMPLATE><SERVER_POOL/></ZONE>"
    )


def zone_pool(endpoint: str) -> str:
    return f"<ZONE_POOL>{zone(endpoint)}</ZONE_POOL>"


def configuration(settings: Mapping[str, str]) -> str:
    """Settings by OpenNebula's names; the caller leaves secrets out."""
    inside = "".join(f"<{name}>{text(settings[name])}</{name}>" for name in sorted(settings))
    return f"<OPENNEBULA_CONFIGURATION>{inside}</OPENNEBULA_CONFIGURATION>"
