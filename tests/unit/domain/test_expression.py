"""Expressions: what they can say, what they give, and how they refuse."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cueline.domain.errors import ExpressionError
from cueline.domain.json import Json
from cueline.domain.workflow.expression import (
    DEEPEST_TEMPLATE,
    Reference,
    Scope,
    parse,
    references,
    render,
    render_object,
)
from tests.unit.domain.factories import modest

SCOPE = Scope(
    {
        "order": 7,
        "total": 9.5,
        "paid": True,
        "note": None,
        "name": "Åsa",
        "items": [{"id": "a"}, {"id": "b"}],
        "odd key": {"a}b": "found", "x.y": 2},
    },
    {"reserve": {"reservation": "r-1", "seats": [1, [2, 3]]}, "count": 3},
)


def refusal(template: str) -> str:
    with pytest.raises(ExpressionError) as refused:
        render(template, SCOPE)
    return str(refused.value)


# --- what an expression gives ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${input.order}", 7),
        ("${input.total}", 9.5),
        ("${input.paid}", True),
        ("${input.note}", None),
        ("${input.name}", "Åsa"),
        ("${input.items}", [{"id": "a"}, {"id": "b"}]),
        ("${input.items[1].id}", "b"),
        ("${input.items[0]}", {"id": "a"}),
        ('${input["odd key"]["a}b"]}', "found"),
        ('${input["odd key"]["x.y"]}', 2),
        ("${ input.order }", 7),
        ("${steps.reserve.output.reservation}", "r-1"),
        ("${steps.reserve.output.seats[1][0]}", 2),
        ("${steps.reserve.output}", {"reservation": "r-1", "seats": [1, [2, 3]]}),
        ("${steps.count.output}", 3),
        ('${steps["count"].output}', 3),
    ],
)
def test_an_expression_alone_keeps_the_type_of_its_value(template: str, value: Json) -> None:
    rendered = render(template, SCOPE)
    assert rendered == value
    assert type(rendered) is type(value)


def test_the_whole_input_can_be_taken() -> None:
    assert render("${input}", SCOPE) == SCOPE.input


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("order ${input.order}", "order 7"),
        ("${input.order}${input.order}", "77"),
        (" ${input.order}", " 7"),
        ("${input.total} for ${input.name}", "9.5 for Åsa"),
        ("paid: ${input.paid}, note: ${input.note}", "paid: true, note: null"),
        ("first: ${input.items[0]}", 'first: {"id": "a"}'),
        ("seats ${steps.reserve.output.seats}", "seats [1, [2, 3]]"),
    ],
)
def test_among_other_text_a_value_is_written_into_it(template: str, text: str) -> None:
    assert render(template, SCOPE) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$${input.order}", "${input.order}"),
        ("$${", "${"),
        ("$${$${", "${${"),
        ("$${x} is ${input.order}", "${x} is 7"),
        ("costs $5", "costs $5"),
        ("$", "$"),
        ("{input.order}", "{input.order}"),
        ("$ {input.order}", "$ {input.order}"),
        ("}", "}"),
        ("", ""),
    ],
)
def test_an_escape_stands_for_itself_and_other_text_is_left_alone(template: str, text: str) -> None:
    assert render(template, SCOPE) == text


def test_a_value_is_never_read_as_an_expression() -> None:
    scope = Scope({"name": "${input.secret}", "secret": 1}, {})
    assert render("${input.name}", scope) == "${input.secret}"
    assert render("hello ${input.name}", scope) == "hello ${input.secret}"


def test_a_template_is_rendered_throughout_and_its_keys_are_left_alone() -> None:
    template: Json = {"a": [1, "${input.order}", {"${input.order}": "n${input.order}"}], "b": None}
    assert render(template, SCOPE) == {"a": [1, 7, {"${input.order}": "n7"}], "b": None}
    assert render_object({"x": "${input.order}"}, SCOPE) == {"x": 7}


def test_rendering_leaves_the_template_as_it_was() -> None:
    template = {"a": ["${input.order}"]}
    render(template, SCOPE)
    assert template == {"a": ["${input.order}"]}


# --- what it refers to ----------------------------------------------------------------------------


def test_a_text_is_split_into_literals_and_references() -> None:
    assert parse("a ${input.x} b ${steps.s.output[0]}") == (
        "a ",
        Reference(None, ("x",)),
        " b ",
        Reference("s", (0,)),
    )


def test_references_come_with_the_path_of_their_string() -> None:
    template: Json = {"a": {"b": ["", "${input.x} ${steps.s.output}"]}, "c": "${input}"}
    assert [(path, str(reference)) for path, reference in references(template)] == [
        (".a.b[1]", "input.x"),
        (".a.b[1]", "steps.s.output"),
        (".c", "input"),
    ]


keys = st.text(st.characters(exclude_characters='"'), max_size=8)
paths = st.lists(keys | st.integers(0, 10**9 - 1), max_size=4).map(tuple)
step_names = st.sampled_from(["a", "reserve", "_x1"])


@modest
@given(st.none() | step_names, paths)
@example(None, ("é", "a²", "1a", ""))
def test_a_reference_that_is_written_reads_back_the_same(
    step: str | None, path: tuple[str | int, ...]
) -> None:
    reference = Reference(step, path)
    assert parse(reference.expression) == (reference,)


# --- what is missing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "${input.ordr}",
            (
                "${input.ordr}: input has no 'ordr'; "
                "it has: items, name, note, odd key, order, paid, total"
            ),
        ),
        ("${input.items[2]}", "${input.items[2]}: input.items has only 2 elements"),
        ("${input.items.id}", "${input.items.id}: input.items is an array, not an object"),
        ("${input.order.x}", "${input.order.x}: input.order is a number, not an object"),
        ("${input.total[0]}", "${input.total[0]}: input.total is a number, not an array"),
        ("${input.name[0]}", "${input.name[0]}: input.name is a text, not an array"),
        ("${input.paid.x}", "${input.paid.x}: input.paid is a boolean, not an object"),
        ("${input.note.x}", "${input.note.x}: input.note is null, not an object"),
        ("${input[0]}", "${input[0]}: input is an object, not an array"),
        (
            '${input["odd key"].z}',
            '${input["odd key"].z}: input["odd key"] has no \'z\'; it has: a}b, x.y',
        ),
        (
            "${steps.reserve.output.items[0].z}",
            (
                "${steps.reserve.output.items[0].z}: steps.reserve.output has no 'items'; "
                "it has: reservation, seats"
            ),
        ),
        (
            "${steps.later.output.x}",
            "${steps.later.output.x}: step 'later' has no output yet",
        ),
        ("id ${input.id}", "${input.id}: input has no 'id'; it has: items,"),
    ],
)
def test_what_is_missing_is_named_with_what_there_is(template: str, message: str) -> None:
    assert refusal(template).startswith(message)


def test_an_empty_object_is_said_to_have_nothing() -> None:
    with pytest.raises(ExpressionError, match="input has no 'x'; it has: none"):
        render("${input.x}", Scope({}, {}))


def test_of_many_fields_only_some_are_named() -> None:
    scope = Scope({f"field_{number}": 0 for number in range(1000)}, {})
    with pytest.raises(ExpressionError) as refused:
        render("${input.x}", scope)
    assert len(str(refused.value)) < 400


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "${}",
        "${ }",
        "${x}",
        "${Input.x}",
        "${inputs.x}",
        "${input.}",
        "${input..x}",
        "${input x}",
        "${input.x y}",
        "${input.1}",
        "${input[x]}",
        "${input[-1]}",
        "${input[1.5]}",
        "${input[]}",
        "${input['x']}",
        '${input["x]}',
        "${input[1234567890]}",
        "${input[٣]}",
        "${input.x + 1}",
        "${input.total > 0}",
        "${input.__class__()}",
        "${steps}",
        "${steps.a}",
        "${steps.a.input}",
        "${steps.a.output.}",
        "${steps.output}",
        "${__import__('os')}",
        "${${input.x}}",
        "${input.x\0}",
        "${\n}",
        "${",
        "${input.x",
        "a ${input.x} b ${",
        '${input["x"',
    ],
    ids=repr,
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"is not an expression|without '}' in"):
        parse(text)


def test_a_refusal_names_where_the_expression_stands() -> None:
    with pytest.raises(ExpressionError) as refused:
        list(references({"a": [{"b": "${oops}"}]}))
    assert str(refused.value) == (
        "a[0].b: ${oops} is not an expression: refer to input.NAME or steps.STEP.output.NAME"
    )


def test_a_template_may_be_nested_to_a_depth_and_not_beyond() -> None:
    template: Json = "${input.x}"
    for _ in range(DEEPEST_TEMPLATE):
        template = [template]
    assert len(list(references(template))) == 1
    with pytest.raises(ExpressionError, match="a template may be 59 levels deep"):
        list(references([template]))


@pytest.mark.parametrize(
    "text",
    [
        "${" * 300_000,
        "$${" * 300_000,
        '${"' * 300_000,
        "${" + '""' * 300_000 + "}",
        "${" + "a" * 1_000_000 + "}",
        "${input" + ".x" * 300_000,
        "${input" + "[0]" * 300_000 + " x}",
        "$" * 1_000_000 + "${",
        '"' * 500_000 + "${" + '"' * 500_001,
    ],
    ids=lambda text: f"{text[:8]}...",
)
def test_a_hostile_text_is_dealt_with_quickly_and_quoted_briefly(text: str) -> None:
    said = "readable"
    try:
        parse(text)
    except ExpressionError as error:
        said = str(error)
    assert 0 < len(said) < 300


@modest
@given(
    st.text()
    | st.lists(
        st.sampled_from(["$", "${", "}", "input", "steps", ".", "[", "]", '"', "0", "a", " ", "é"])
    ).map("".join)
)
@example('${input["}"]}')
def test_reading_a_text_raises_expression_errors_and_nothing_else(text: str) -> None:
    with suppress(ExpressionError):
        parts = parse(text)
        written = "".join(
            part.replace("${", "$${") if isinstance(part, str) else part.expression
            for part in parts
        )
        assert parse(written) == parts
