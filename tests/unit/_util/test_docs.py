import inspect
import re

import pytest

import offkey
from offkey._util.docs import passages
from offkey.signal import augment

LOG_MEL = ("__call__", "each", "statistics", "from_files", "each_from_files", "statistics_from_files")


@pytest.mark.parametrize(
    "function",
    [*(getattr(augment, name) for name in augment.__all__ if inspect.isfunction(getattr(augment, name)))]
    + [getattr(offkey.LogMel, name) for name in LOG_MEL],
)
def test_help_describes_every_parameter_and_no_name_of_a_passage_is_left(function):
    text = inspect.getdoc(function)
    assert not re.search(r"^ *<\w+>$", text, re.MULTILINE)
    described = re.search(r"Parameters\n-+\n(.*?)\n\n(?=\w+\n-+\n)", text, re.DOTALL).group(1)
    names = {
        name.strip()
        for line in re.findall(r"^(\S.*?) : ", described, re.MULTILINE)
        for name in line.split(",")
    }
    assert names == set(inspect.signature(function).parameters) - {"self"}


def test_a_passage_takes_the_indentation_of_its_line_and_an_unknown_one_is_an_error():
    class Thing:
        @passages(one="a : int\n    Of it.\n")
        def method(self):
            """Do it.

            <one>
            """

    assert inspect.getdoc(Thing.method) == "Do it.\n\na : int\n    Of it."
    with pytest.raises(KeyError, match="two"):
        passages(one="")(type("T", (), {"__doc__": "Do.\n\n    <two>\n"}))
