"""The status page: the fleet by state, newest alerts, newest refusals. Plain HTML, no script, every value escaped."""

from __future__ import annotations

from html import escape
from typing import Any

from console.warehouse import Warehouse

QUERIES = {
    "Fleet": "SELECT state, count() AS clients FROM viworks.fleet_now GROUP BY state ORDER BY clients DESC",
    "Alerts of the last day": (
        "SELECT timestamp, rule, severity, status, client_id, summary FROM viworks.alerts "
        "WHERE timestamp > now() - INTERVAL 1 DAY ORDER BY timestamp DESC LIMIT 20"
    ),
    "Refused requests of the last day": (
        "SELECT endpoint, reason, status, sum(count) AS requests FROM viworks.rejections "
        "WHERE timestamp > now() - INTERVAL 1 DAY GROUP BY endpoint, reason, status ORDER BY requests DESC LIMIT 20"
    ),
}

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b2430;background:#f7f8fa}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;background:#fff}
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #dfe4ea}
th{font-weight:600;color:#4a5868}p{color:#4a5868}
"""


async def status_page(warehouse: Warehouse) -> str:
    """The page, read anew from the warehouse. Raises WarehouseAway."""
    sections = [section(title, await warehouse.rows(query)) for title, query in QUERIES.items()]
    return document("".join(sections))


def document(content: str) -> str:
    """A whole page around trusted markup. It asks the browser to come again every 5 seconds."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>ViWorkS</title><style>{STYLE}</style></head><body><h1>ViWorkS ingest</h1>{content}</body></html>"
    )


def section(title: str, rows: list[dict[str, Any]]) -> str:
    """One table under its title."""
    if not rows:
        return f"<h2>{escape(title)}</h2><p>None.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row.values()) + "</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
