"""Texts of a source contain no escape sequence, no formula of a spreadsheet and no password when they are printed."""

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pyarrow as pa
import pytest

from correnteza import printing
from foundation import log, redact
from foundation.redact import escaped, redacted
from tests.helpers import ROOT

HOSTILE = "a\x1b[2J\x9b31m\x07\u202etxt.exe\x7f"
QUERY = ("query", "SELECT 'a' || chr(27) || '[2J' || chr(8238) || 'b' AS text")


def on_a_terminal(folder, start, *arguments):
    """All that a command writes to a terminal, both streams."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "CORRENTEZA_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, *start, *arguments], stdout=theirs, stderr=theirs, stdin=theirs, env=variables, cwd=folder
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    process.wait()
    return said.decode()


def escape_sequences(said):
    """The oracle: what of a text a terminal would obey."""
    return [f"the output holds {each!r}" for each in sorted(set(said)) if escaped(each) != each and each != "\r"]


@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)])
def test_no_command_prints_an_escape_sequence_that_a_terminal_runs(tmp_path, form):
    said = on_a_terminal(tmp_path, ("-m", "correnteza"), *QUERY, *form)
    assert "[2J" in said, said
    assert escape_sequences(said) == []


UNESCAPED = """
from foundation import redact
redact.escaped = lambda text: text
from correnteza.cli import main
main()
"""


def test_control_without_the_escaping_the_same_command_prints_escape_sequences(tmp_path, control):
    control.holds(escape_sequences, on_a_terminal(tmp_path, ("-m", "correnteza"), *QUERY, "--csv"))
    said = on_a_terminal(tmp_path, ("-c", UNESCAPED), *QUERY, "--csv")
    control.objects(escape_sequences, said, damage=(r"the output holds '\x1b'", r"the output holds '\u202e'"))


def test_an_error_s_words_are_escaped_on_a_terminal_too(tmp_path):
    said = on_a_terminal(tmp_path, ("-m", "correnteza"), "query", "SELECT \x1b[31m nothing")
    assert "error: the query fails" in said
    assert escape_sequences(said) == []


def lines_of(form):
    """What the log writes of a hostile text, everywhere one can stand."""
    stream = io.StringIO()
    log.configure(to=stream, form=form)
    try:
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.get_logger("test").error("it_failed", text=HOSTILE, deep=[{"x": HOSTILE}], exc_info=True)
    finally:
        log.configure()
    return stream.getvalue()


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_line_of_the_log_holds_an_escape_sequence(form):
    said = lines_of(form)
    assert said.count("[2J") >= 3
    assert escape_sequences(said) == []


def test_control_without_the_escaping_the_console_s_lines_hold_escape_sequences(monkeypatch, control):
    control.holds(escape_sequences, lines_of("console"))
    monkeypatch.setattr(redact, "escaped", lambda text: text)
    control.objects(escape_sequences, lines_of("console"), damage=r"the output holds '\x1b'")


FORMULAS = ("=cmd|' /C calc'!A0", "+1+cmd()", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x")
EXACT = ("a=b", "-12.5", "+3", "-.5", "-1e-7", "", "'quoted'", "SÃO PAULO")


def formulas(*texts):
    """The oracle: which cells of the CSV a spreadsheet would run."""
    cells = [row[0] for row in csv.reader(io.StringIO(printing.as_csv(pa.table({"text": list(texts)})), newline=""))][
        1:
    ]
    return [f"a spreadsheet runs {cell!r}" for cell in cells if cell[:1] in tuple("=+-@\t\r\n＝＋－＠")]


def test_no_cell_of_a_csv_is_a_formula_and_everything_else_is_exact():
    assert formulas(*FORMULAS) == []
    text = printing.as_csv(pa.table({"text": [*EXACT, "last"], "number": [-1.5] * (len(EXACT) + 1)}))
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[0] for row in rows] == [*EXACT, "last"]
    assert {row[1] for row in rows} == {"-1.5"}


def test_a_column_s_name_is_no_formula_either():
    assert printing.as_csv(pa.table({"=x()": [1]})) == "'=x()\n1"


def test_json_keeps_every_text_as_it_is():
    assert json.loads(printing.as_json(pa.table({"text": list(FORMULAS)}))) == [{"text": each} for each in FORMULAS]


def test_control_without_the_apostrophe_the_formulas_stand_there(monkeypatch, control):
    control.holds(formulas, *FORMULAS)
    monkeypatch.setattr(printing, "_harmless", lambda text: text)
    control.objects(formulas, *FORMULAS, damage=("a spreadsheet runs '+1+cmd()'", "a spreadsheet runs '＝1+1'"))


ADDRESSES = (
    "http://user:s3/cr@t:@host:8081/apis",
    "cannot reach https://user:s3/cr@t:@host, is it there?",
    '{"url": "http://user:s3/cr@t:@host"}',
    "sasl.password=s3/cr@t:",
    "{'sasl.password': 's3/cr@t:'}",
    "Authorization: Basic s3/cr@t:",
    "https://host/v1?apikey=s3/cr@t:&day=1",
)


def leaked():
    """The oracle: where the password, or its end, is shown."""
    return [f"it is shown: {shown}" for shown in map(redacted, ADDRESSES) if "s3/" in shown or "cr@t" in shown]


def test_a_password_with_slash_and_at_is_not_shown_whole_or_in_part():
    assert leaked() == []
    assert redacted(ADDRESSES[0]) == "http://***@host:8081/apis"


@pytest.mark.parametrize("text", ["http://host/a@b", "password authentication is off", "mail someone@example.org"])
def test_what_only_looks_like_a_password_is_left(text):
    assert redacted(text) == text


def test_control_up_to_the_first_at_alone_the_end_of_the_password_is_shown(monkeypatch, control):
    control.holds(leaked)
    monkeypatch.setattr(redact, "_USER_INFO", redact.re.compile(r"(?<=://)[^/\s@]+(?=@)"))
    control.objects(leaked, damage="it is shown: http://user:s3/cr@t:@host")
