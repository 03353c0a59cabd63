"""The first fortnight of the year on real nodes: what a rehearsal takes, a network takes (`scripts/demo` has all)."""

import io
from pathlib import Path

from rich.console import Console

from devnet.year.acts import Moment
from devnet.year.cast import LABS
from devnet.year.show import Show

INTERVAL_S = 10
UNTIL = Moment(1, 560)


async def test_year_begins_on_a_network_of_real_nodes_as_its_script_has_it(tmp_path: Path) -> None:
    show = Show(tmp_path, Console(file=io.StringIO()))
    try:
        fingerprint = show.found(INTERVAL_S)
        _, performance = await show.perform(fingerprint, until=UNTIL)
    finally:
        show.network.stop_all()
    assert show.checks.all_held
    assert not performance.surprises
    declared = {f"declaration {lab.run}" for lab in LABS if lab.id in {"halcyon", "kestrel", "petrel", "lantern"}}
    assert declared <= performance.said.keys()
