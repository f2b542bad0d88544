"""Every contender of the table of speed, in one process and by itself: quick to ask for one of them.

    pytest benches/python --benchmark-only -k "logmel and float32"

That all do the same work is asserted before anything is timed. The table (`benches/table.py`) interleaves them and
keeps libraries apart; believe that one where the two differ.
"""

import pytest
from peers import groups
from peers.bars import ROWS
from peers.judge import Figure

PLACES = [
    pytest.param(row, contender, id=f"{row.group}-{row.case}-{contender.name}")
    for row in ROWS
    for contender in groups.load(row.group).contenders.values()
    if contender.kind in ("ours", "peer", "floor")
    and groups.load(row.group).takes_part(contender, row.case, 1)
]


@pytest.mark.filterwarnings("ignore")  # of the peers
@pytest.mark.parametrize(("row", "contender"), PLACES)
def test_kernel(benchmark, files, row, contender):
    benchmark.group = row.work
    try:
        bench = contender.make(row.case, 1)
        bench.run()
    except (ImportError, OSError) as error:
        pytest.skip(f"{contender.name} cannot be loaded: {error}")
    check = bench.check() if bench.check else {}
    assert groups.load(row.group).objection(check) is None
    if contender.kind == "ours":
        assert not [bar for bar in row.bars if isinstance(bar, Figure) and bar.objection(check)]
    benchmark(bench.run)
    benchmark.extra_info |= {"units": bench.units, **check}
