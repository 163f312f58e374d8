"""The sources that are replayed: the module for each first path element, and the requests that each refuses."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from replay import (
    anatel,
    focus,
    inmet,
    municipalities,
    openmeteo_archive,
    openmeteo_forecast,
    ptax,
    sgs,
    sidra,
)
from replay.content import Reply, Resource

Answer: TypeAlias = Callable[[str, Mapping[str, str], int], Reply | Resource | None]
"""(path below the family, query, publication day) → the answer; None is 404."""

FAMILIES: Mapping[str, Answer] = {
    "anatel": anatel.answer,
    "inmet": inmet.answer,
    "sgs": sgs.answer,
    "ptax": ptax.answer,
    "focus": focus.answer,
    "sidra": sidra.answer,
    "municipalities": municipalities.answer,
    "openmeteo-archive": openmeteo_archive.answer,
    "openmeteo-forecast": openmeteo_forecast.answer,
}

SOURCES: Mapping[str, str] = {
    "anatel_mobile_accesses": "anatel",
    "anatel_broadband_accesses": "anatel",
    "anatel_base_stations": "anatel",
    "inmet_hourly": "inmet",
    "bcb_sgs": "sgs",
    "bcb_ptax": "ptax",
    "bcb_focus": "focus",
    "ibge_sidra": "sidra",
    "ibge_municipalities": "municipalities",
    "openmeteo_archive": "openmeteo-archive",
    "openmeteo_forecast": "openmeteo-forecast",
}
"""Source → the family that replays it."""


def resets(family: str, method: str, user_agent: str) -> bool:
    """Whether the source cuts the connection: INMET does on HEAD, and on clients that do not look like a browser."""
    return family == "inmet" and (method == "HEAD" or "Mozilla" not in user_agent)
