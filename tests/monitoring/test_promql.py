"""The little that tests read of PromQL."""

import pytest

from tests.monitoring.promql import metrics, of_product, selectors, unconditional


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("vector(0)", set()),
        ('sum by (state) (rooms{state="unseen"}) > 0', {"rooms"}),
        ('1 - sum(rate(a_bucket{le="2.0"}[5m])) / on (b) group_left (c) d', {"a_bucket", "d"}),
        (
            "classpulse:late:ratio_rate1h > 14.4 * 0.01 and e unless on (instance) f",
            {"classpulse:late:ratio_rate1h", "e", "f"},
        ),
        ("predict_linear(free[1h], 4 * 3600) < 1e9", {"free"}),
        ('absent(g or h{stage="bridge, {i}"})', {"g", "h"}),
    ],
)
def test_the_metrics_of_an_expression(expression: str, named: set[str]) -> None:
    assert metrics(expression) == named


def test_a_histogram_is_told_by_three_names() -> None:
    assert {of_product(f"a_seconds{end}") for end in ("", "_bucket", "_count", "_sum")} == {"a_seconds"}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('a{b!="c"} > 1', 'a{b!="c"} > bool 1'),
        (
            '(max by (t) (a{t=~"x|y"}) > 0) >= 3 and b == 1',
            '(max by (t) (a{t=~"x|y"}) > bool 0) >= bool 3 and b == bool 1',
        ),
        ('absent(a or b{c="d"})', '(a or b{c="d"})'),
        ("(a unless a{b='c'} offset 15m) > 0", "(a ) > bool 0"),
        ("sum(a) > 0 unless on (i) b", "sum(a) > bool 0 "),
    ],
)
def test_an_expression_without_its_conditions(expression: str, told: str) -> None:
    assert unconditional(expression) == told


def test_the_series_that_an_expression_looks_at() -> None:
    expression = 'sum by (a) (rate(b{a="b"}[5m])) / on (c) d and absent(e{f=~"g|h"}) > 1'
    assert selectors(expression) == {'b{a="b"}', "d", 'e{f=~"g|h"}'}
