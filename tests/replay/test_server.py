"""The replay answers like the real sources: paths, headers, quirks, real bytes."""

import io
import json
import time
import zipfile
from http.client import HTTPConnection, IncompleteRead
from urllib.parse import quote, urlsplit

import pytest

from foundation.errors import UsageError
from replay.content import DATA, Resource, instant
from replay.families import FAMILIES, SOURCES
from replay.server import serve

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
YEAR_2024 = "/inmet/2024.zip"
BROADBAND = "/anatel/acessos/acessos_banda_larga_fixa.zip"


@pytest.fixture
def replay():
    with serve(day=1) as server:
        yield server


def ask(server, path, method="GET", body=None, **headers):
    """One request on a connection of its own: (status, headers, body)."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, path, body, {**BROWSER, **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def sgs(server, code, **window):
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in {"formato": "json", **window}.items())
    status, _, body = ask(server, f"/sgs/bcdata.sgs.{code}/dados?{query}")
    return status, json.loads(body)


def members(body):
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def recorded(pattern):
    (file,) = (DATA / "inmet").glob(pattern)
    return file.read_bytes()


def test_on_day_2_the_members_of_2024_are_the_recorded_bytes(replay):
    replay.set_day(2)
    found = members(ask(replay, YEAR_2024)[2])
    assert found == {
        "INMET_NE_BA_A401_SALVADOR_01-01-2024_A_31-12-2024.CSV": recorded("INMET_NE_BA_A401*"),
        "INMET_N_AP_A249_MACAPA_01-01-2024_A_31-12-2024.CSV": recorded("*A249*"),
        "INMET_NE_MA_A217_FAROL de SANTANA_01-01-2024_A_31-12-2024.CSV": recorded("*A217*"),
    }


def test_on_day_1_the_running_year_ends_in_november_and_its_names_say_so(replay):
    found = members(ask(replay, YEAR_2024)[2])
    salvador = found["INMET_NE_BA_A401_SALVADOR_01-01-2024_A_30-11-2024.CSV"]
    assert recorded("INMET_NE_BA_A401*").startswith(salvador)
    assert salvador.splitlines()[-1].startswith(b"2024/11/30;2300 UTC;")
    assert len(salvador.splitlines()) == 9 + 335 * 24


def test_day_3_corrects_three_hours_and_nothing_else(replay):
    replay.set_day(3)
    found = members(ask(replay, YEAR_2024)[2])["INMET_NE_BA_A401_SALVADOR_01-01-2024_A_31-12-2024.CSV"]
    before, after = recorded("INMET_NE_BA_A401*").split(b"\n"), found.split(b"\n")
    changed = [line.split(b";")[:2] for line, former in zip(after, before, strict=True) if line != former]
    assert changed == [
        [b"2024/03/03", b"0100 UTC"],
        [b"2024/03/04", b"0900 UTC"],
        [b"2024/07/15", b"1200 UTC"],
    ]


def test_members_stand_in_a_folder_up_to_2019_and_at_the_root_after(replay):
    assert list(members(ask(replay, "/inmet/2019.zip")[2])) == [
        "2019/INMET_S_PR_A807_CURITIBA_01-01-2019_A_31-12-2019.CSV"
    ]
    assert list(members(ask(replay, "/inmet/2020.zip")[2])) == ["INMET_S_PR_A807_CURITIBA_01-01-2020_A_31-12-2020.CSV"]


def test_a_closed_year_keeps_its_validators_from_day_to_day_and_the_running_year_does_not(replay):
    before = {year: ask(replay, f"/inmet/{year}.zip", Range="bytes=0-0")[1] for year in (2018, 2024)}
    replay.set_day(2)
    after = {year: ask(replay, f"/inmet/{year}.zip", Range="bytes=0-0")[1] for year in (2018, 2024)}
    assert (before[2018]["ETag"], before[2018]["Last-Modified"]) == (after[2018]["ETag"], after[2018]["Last-Modified"])
    assert before[2024]["ETag"] != after[2024]["ETag"]
    assert before[2024]["Last-Modified"] == "Mon, 10 Nov 2025 13:02:11 GMT"
    assert after[2024]["Last-Modified"] == "Tue, 11 Nov 2025 13:04:52 GMT"


@pytest.mark.parametrize(
    ("wanted", "slice_"),
    [("bytes=0-0", slice(0, 1)), ("bytes=100-199", slice(100, 200)), ("bytes=100-", slice(100, None)),
     ("bytes=-50", slice(-50, None)), ("bytes=5-99999999", slice(5, None))],
)  # fmt: skip
def test_a_range_gives_206_and_just_those_bytes(replay, wanted, slice_):
    whole = ask(replay, YEAR_2024)[2]
    status, headers, body = ask(replay, YEAR_2024, Range=wanted)
    start = whole.index(body) if len(body) > 1 else 0
    assert (status, body) == (206, whole[slice_])
    assert headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{len(whole)}"


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_end_gives_416_and_the_size(replay, wanted):
    size = len(ask(replay, YEAR_2024)[2])
    status, headers, body = ask(replay, YEAR_2024, Range=wanted)
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_resumed_range_of_another_edition_gives_the_whole_new_one(replay, validator):
    held = ask(replay, YEAR_2024, Range="bytes=0-0")[1][validator]
    same = ask(replay, YEAR_2024, Range="bytes=100-", **{"If-Range": held})
    replay.set_day(2)
    other = ask(replay, YEAR_2024, Range="bytes=100-", **{"If-Range": held})
    assert (same[0], other[0]) == (206, 200)
    assert len(members(other[2])) == 3


def test_an_unchanged_resource_gives_304(replay):
    headers = ask(replay, BROADBAND)[1]
    assert ask(replay, BROADBAND, **{"If-None-Match": headers["ETag"]})[0] == 304
    assert ask(replay, BROADBAND, **{"If-Modified-Since": headers["Last-Modified"]})[0] == 304
    replay.set_day(2)
    assert ask(replay, BROADBAND, **{"If-None-Match": headers["ETag"]})[0] == 200


def test_inmet_cuts_the_connection_on_head_and_on_a_client_that_is_no_browser(replay):
    for method, agent in (("HEAD", BROWSER["User-Agent"]), ("GET", "python-client/1.0")):
        with pytest.raises(ConnectionResetError):
            ask(replay, YEAR_2024, method, **{"User-Agent": agent})
    assert [request.status for request in replay.requests] == [0, 0]


def test_a_year_that_is_not_recorded_gives_404(replay):
    assert ask(replay, "/inmet/2026.zip")[0] == 404
    assert ask(replay, "/inmet/x/2024.zip")[0] == 404


def test_anatel_answers_head_with_the_sizes_and_validators(replay):
    status, headers, body = ask(replay, BROADBAND, "HEAD")
    assert (status, body) == (200, b"")
    assert headers["Content-Type"] == "application/x-zip-compressed"
    assert headers["Accept-Ranges"] == "bytes"
    assert int(headers["Content-Length"]) == len(ask(replay, BROADBAND)[2])


def test_the_broadband_member_has_anatels_layout(replay):
    replay.set_day(2)
    found = members(ask(replay, BROADBAND)[2])
    assert list(found) == [
        "Acessos_Banda_Larga_Fixa_2026_Colunas.csv", "Acessos_Banda_Larga_Fixa_Total.csv", "Densidades.pdf",
    ]  # fmt: skip
    # The real totals, and before them the sums of the ten rows of 2026.
    header, *lines = found["Acessos_Banda_Larga_Fixa_Total.csv"].split(b"\r\n")
    real = (DATA / "anatel/Acessos_Banda_Larga_Fixa_Total.csv").read_bytes()
    assert b"\r\n".join([header, *lines[8:]]) == real
    assert [line.rpartition(b";")[0] for line in lines[:8]] == [b"2026;%d" % month for month in range(8, 0, -1)]
    july = [row.split(b";")[-2] for row in found["Acessos_Banda_Larga_Fixa_2026_Colunas.csv"].split(b"\r\n")[1:-1]]
    assert lines[1] == b"2026;7;%d" % sum(int(cell or 0) for cell in july)
    lines = found["Acessos_Banda_Larga_Fixa_2026_Colunas.csv"].split(b"\r\n")
    assert lines[0].startswith(b"\xef\xbb\xbfCNPJ;Velocidade;")
    assert lines[1].decode() == (
        "66970229000167;600,000000;Salvador;BA;> 34Mbps;HFC;CLARO;Grande Porte;Pessoa Física;INTERNET;2927408;"
        "TELECOM AMERICAS;Cabo Coaxial;33818;33970;34318;34793;35085;36189;37487;37382"
    )
    assert (len(lines), lines[-1]) == (12, b"")


def test_broadband_gains_a_month_and_a_correction_on_day_2(replay):
    first = members(ask(replay, BROADBAND)[2])["Acessos_Banda_Larga_Fixa_2026_Colunas.csv"].decode().split("\r\n")
    replay.set_day(2)
    second = members(ask(replay, BROADBAND)[2])["Acessos_Banda_Larga_Fixa_2026_Colunas.csv"].decode().split("\r\n")
    assert [line.rpartition(";")[0] for line in second[2:-1]] == first[2:-1]
    assert (first[1].split(";")[19:], second[1].split(";")[19:]) == (["37399"], ["37487", "37382"])


def test_sgs_honours_the_window_on_one_line(replay):
    status, rows = sgs(replay, 1, dataInicial="03/11/2020", dataFinal="05/11/2020")
    assert status == 200
    assert rows == [
        {"data": "03/11/2020", "valor": "5.6895"},
        {"data": "04/11/2020", "valor": "5.6932"},
        {"data": "05/11/2020", "valor": "5.5624"},
    ]
    assert b"\n" not in ask(replay, "/sgs/bcdata.sgs.433/dados?formato=json")[2]


def test_sgs_bodies_grow_from_day_to_day(replay):
    ends = {}
    for day in (1, 2, 3):
        replay.set_day(day)
        ends[day] = [
            sgs(replay, code, dataInicial="01/08/2025", dataFinal="23/11/2026")[1][-1] for code in (1, 432, 433)
        ]
    assert ends[1] == [
        {"data": "07/11/2025", "valor": "5.3567"},
        {"data": "10/11/2025", "valor": "15.00"},
        {"data": "01/09/2025", "valor": "0.48"},
    ]
    assert ends[2] == [
        {"data": "10/11/2025", "valor": "5.3181"},
        {"data": "11/11/2025", "valor": "15.00"},
        {"data": "01/10/2025", "valor": "0.09"},
    ]
    assert ends[3] == ends[2]


def test_the_dollar_joins_its_two_recordings_without_a_gap_or_a_double(replay):
    days = [row["data"] for row in sgs(replay, 1, dataInicial="29/10/2025", dataFinal="31/12/2025")[1]]
    assert days == ["29/10/2025", "30/10/2025", "31/10/2025", *(f"{day:02}/11/2025" for day in (3, 4, 5, 6, 7))]


def test_sgs_answers_404_for_an_empty_window_and_for_an_unknown_series(replay):
    for code, window in ((1, {"dataInicial": "01/01/2000", "dataFinal": "02/01/2000"}), (999, {})):
        status, body = sgs(replay, code, **window)
        assert (status, body["erro"]["statusCode"]) == (404, 404)
        assert body["erro"]["detail"].endswith("Value(s) not found")


def test_sgs_refuses_more_than_ten_years_of_a_daily_series(replay):
    assert sgs(replay, 432, dataInicial="11/11/2015", dataFinal="11/11/2025")[0] == 200
    status, body = sgs(replay, 432, dataInicial="10/11/2015", dataFinal="11/11/2025")
    assert status == 406
    assert "10 anos" in body["error"]
    assert sgs(replay, 432)[0] == 406
    assert sgs(replay, 433)[0] == 200


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("429", 429), ("503", 503)])
def test_a_scripted_fault_hits_the_next_answer_only(replay, kind, status):
    replay.add_fault(BROADBAND, kind)
    assert [ask(replay, BROADBAND)[0] for _ in range(2)] == [status, 200]


def test_a_fault_may_wait_for_some_answers_to_go_well(replay):
    replay.add_fault(BROADBAND, "500", 2, after=2)
    assert [ask(replay, BROADBAND)[0] for _ in range(5)] == [200, 200, 500, 500, 200]


def test_a_fault_of_a_path_that_ends_with_a_slash_hits_everything_below_it(replay):
    replay.add_fault("/sgs/", "503", 2)
    paths = ["/sgs/bcdata.sgs.433/dados", BROADBAND, "/sgs/bcdata.sgs.432/dados", "/sgs/bcdata.sgs.433/dados"]
    assert [ask(replay, path)[0] for path in paths] == [503, 200, 503, 200]


def test_a_429_carries_the_retry_after_and_the_body_of_the_script(replay):
    replay.add_fault(BROADBAND, "429", retry_after="7", body='{"reason": "tomorrow"}')
    replay.add_fault(BROADBAND, "429")
    status, headers, body = ask(replay, BROADBAND)
    assert (status, headers["Retry-After"], json.loads(body)) == (429, "7", {"reason": "tomorrow"})
    status, headers, body = ask(replay, BROADBAND)
    assert (status, headers["Retry-After"], body) == (429, None, b"")


def test_a_redirect_leads_where_the_script_says(replay):
    replay.add_fault(BROADBAND, "redirect", location="http://169.254.169.254/latest")
    status, headers, _ = ask(replay, BROADBAND)
    assert (status, headers["Location"]) == (302, "http://169.254.169.254/latest")


def test_a_redirect_without_a_location_and_a_location_without_a_redirect_are_refused(replay):
    for kind, details in (("redirect", {}), ("500", {"location": "/x"})):
        with pytest.raises(UsageError, match="redirect needs a location"):
            replay.add_fault(BROADBAND, kind, **details)


def test_a_reset_cuts_the_connection_without_an_answer(replay):
    replay.add_fault(BROADBAND, "reset")
    with pytest.raises(ConnectionResetError):
        ask(replay, BROADBAND)
    assert ask(replay, BROADBAND)[0] == 200


def test_a_slow_answer_comes_byte_by_byte(replay):
    whole = ask(replay, BROADBAND, Range="bytes=0-2")[2]
    replay.add_fault(BROADBAND, "slow-drip")
    connection = HTTPConnection(urlsplit(replay.url).netloc, timeout=10)
    connection.request("GET", BROADBAND, headers={**BROWSER, "Range": "bytes=0-2"})
    began = time.monotonic()
    answer = connection.getresponse()
    found = answer.read(len(whole))
    connection.close()
    assert found == whole
    assert time.monotonic() - began >= 0.2, "a tenth of a second before each byte but the first"


def test_a_file_replaced_during_a_download_has_another_etag_from_then_on_and_is_not_resumed(replay):
    first = ask(replay, YEAR_2024, Range="bytes=0-0")[1]
    replay.add_fault(YEAR_2024, "replaced", after=1)
    held = {"If-Range": first["ETag"]}
    answers = [ask(replay, YEAR_2024, Range="bytes=5-9", **held) for _ in range(3)]
    assert [status for status, _, _ in answers] == [206, 200, 200]
    assert [headers["ETag"] == first["ETag"] for _, headers, _ in answers] == [True, False, False]
    assert answers[1][1]["Last-Modified"] == "Mon, 10 Nov 2025 13:02:12 GMT"
    assert ask(replay, "/inmet/2020.zip")[0] == 200


def test_a_fault_that_is_not_there_is_refused(replay):
    with pytest.raises(UsageError, match="no fault 'fire'"):
        replay.add_fault(BROADBAND, "fire")


def test_the_html_fault_is_a_web_page_with_status_200(replay):
    replay.add_fault(YEAR_2024, "html-200")
    status, headers, body = ask(replay, YEAR_2024)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=windows-1252")
    assert body == (DATA / "anatel/head4000_html_saved_as_data.html").read_bytes()


def test_the_truncated_fault_stops_before_the_promised_length(replay):
    replay.add_fault(BROADBAND, "truncated")
    with pytest.raises(IncompleteRead):
        ask(replay, BROADBAND)


def test_another_process_switches_days_scripts_faults_and_reads_the_log_over_http(replay):
    assert ask(replay, "/_replay/day", "POST", b'{"day": 2}')[0] == 200
    assert replay.day == 2
    assert ask(replay, "/_replay/day", "POST", b'{"day": 9}')[0] == 400
    fault = json.dumps({"path": BROADBAND, "kind": "500", "times": 2})
    assert ask(replay, "/_replay/fault", "POST", fault.encode())[0] == 200
    assert [ask(replay, BROADBAND)[0] for _ in range(3)] == [500, 500, 200]
    log = json.loads(ask(replay, "/_replay/log")[2])
    assert log["counts"] == {BROADBAND: 3}
    assert [request["status"] for request in log["requests"]] == [500, 500, 200]
    times = [request["at"] for request in log["requests"]]
    assert times == sorted(times)
    assert time.time() - times[0] < 60
    for nonsense in (b'{"kind": "500"}', b'{"path": "/x", "kind": "500", "colour": "red"}', b"[]", b"{"):
        assert ask(replay, "/_replay/fault", "POST", nonsense)[0] == 400


def test_a_day_that_is_not_recorded_is_refused(replay):
    with pytest.raises(UsageError, match="day 4 is not recorded"):
        replay.set_day(4)


def test_every_replayed_source_has_the_base_url_of_its_family(replay):
    assert set(SOURCES.values()) == set(FAMILIES)
    assert replay.base_urls["inmet_hourly"] == f"{replay.url}/inmet"


def test_a_path_can_be_given_a_file_instead_of_its_recording_on_every_day(tmp_path):
    file = tmp_path / "large.zip"
    file.write_bytes(bytes(range(256)) * 20_000)
    resource = Resource(file, "application/x-zip-compressed", instant("2026-10-01T00:00:00"))
    with serve(instead={BROADBAND: resource}) as server:
        status, headers, body = ask(server, BROADBAND, Range="bytes=1048570-3200000")
        assert (status, body) == (206, file.read_bytes()[1_048_570:3_200_001])
        assert headers["Content-Range"] == "bytes 1048570-3200000/5120000"
        server.set_day(2)
        assert ask(server, BROADBAND)[2] == file.read_bytes()
        assert ask(server, BROADBAND, **{"If-None-Match": headers["ETag"]})[0] == 304
        server.add_fault(BROADBAND, "truncated")
        with pytest.raises(IncompleteRead) as cut:
            ask(server, BROADBAND)
        assert cut.value.partial == file.read_bytes()[:2_560_000]


def test_closing_frees_clients_that_keep_their_connection():
    server = serve()
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.request("GET", "/sgs/bcdata.sgs.433/dados")
    connection.getresponse().read()
    server.close()
    assert connection.sock.recv(1) == b""
