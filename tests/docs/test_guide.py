"""The guide does what it says: every page's code runs on a real server, and its results hold."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from resaga.server import RestateServer
from tests.support.guide import DOCS, PAGES, ROOT, Guide, blocks, code


def run_python(*arguments: str, cwd: Path) -> str:
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_every_page_with_code_has_a_test() -> None:
    tests = [
        path.read_text("utf-8")
        for path in (ROOT / "tests").rglob("*.py")
        if path.name not in ("guide.py", "test_guide.py")
    ]
    for page in DOCS.rglob("*.md"):
        if blocks(page, "python") and page not in PAGES.values():
            assert any(page.name in text for text in tests), f"nothing runs the code of {page}"


def test_code_is_as_narrow_as_the_page() -> None:
    for page in PAGES.values():
        for language in ("python", "sh", "typescript"):
            for line in "".join(blocks(page, language)).splitlines():
                assert len(line) <= 84, f"{page.name}: {line}"


def test_every_page_is_called_here() -> None:
    called = {case[0].split("/")[0] for case in CASES} | OTHERS
    for name, page in PAGES.items():
        made = set(
            re.findall(
                r"(?:(?:saga|restate|factory)\w*(?:_workflow|\.workflow)|SagaVirtualObject|Service"
                r'|create_saga_virtual_object|create_saga_workflow)\("(\w+)"',
                code(page),
            )
        )
        assert made, name
        assert made <= called, f"{page.name} defines what is not called: {made - called}"


# Called by tests of their own, or by what is called here.
OTHERS = {
    *("ClientsApproval", "ClientsPrices", "ClientsWallet", "KeyedWallet", "Purchase"),
    *("PurchaseInTime", "StepsBank", "TenantWrite"),
}

POSTING = {"account": "anna", "amount": 30}
TEA = {"product": "tea", "amount": 50}
COSTLY = {"product": "tea", "amount": 5000}
SKU = {"productId": "SKU123", "quantity": 2, "amount": 99}
PIANO = "422 we do not carry a piano"

CASES: list[tuple[str, object, str, str | None]] = [
    # What is called, with what, what comes back, and a variable that the call leaves as it was.
    ("WhyCheckout/run", TEA, "200 ", None),
    ("WhyCheckout/run", COSTLY, "402 card declined", "index.held"),
    ("BookTrip/run", {"city": "Rome", "nights": 2, "budget": 500}, '200 {"flight":"F-Rome"', None),
    ("BookTrip/run", {"city": "Rome", "nights": 2, "budget": 50}, "402 260 is", "tutorial.seats"),
    ("StepsPayBoth/run", [POSTING], "200 1", None),
    ("StepsPayBoth/run", [POSTING, {"account": "bob", "amount": 9}], "402 not", "steps.accounts"),
    ("StepsNotify/run", "anna", "200 3", None),
    ("StepsNotify/run", "closed", "410 the account is closed", None),
    ("StepsOpen/run", "carl", "200 [2,3]", None),
    ("StepsOpen/run", "5", "422 a name has letters", "steps.accounts"),
    ("StepsTransfer/run", POSTING, "200 ", None),
    ("StepsTransfer/run", {"account": "anna", "amount": 60}, "422 that is a lot", "steps.accounts"),
    ("FailureOrder/run", "book", '200 "parcel"', None),
    ("FailureWatched/run", "book", '200 "all is well"', None),
    (
        "FailureWatched/run",
        "glued to the shelf",
        '200 "we do not carry a glued to the shelf; to be undone by hand: ReserveStock (it ',
        None,
    ),
    ("TripSideBySide/run", "Ritz", '200 ["Oslo","Ritz"]', None),
    ("TripSideBySide/run", "gone", "409 no hotel left", "composition.booked"),
    ("TripAnyhow/run", "SK1", '200 "Bergen by plane"', None),
    ("TripInTime/run", 1, '200 "Lima"', None),
    ("TripInTime/run", 3600_000, "408 the deadline of 0:00:00.300000", "composition.booked"),
    ("TripSimple/run", "Bonn", '200 "Bonn"', None),
    ("TripRound/run", ["Bonn", "Jena"], "200 2", None),
    ("TripRound/run", ["Bonn", "gone"], "409 no flight left", "composition.booked"),
    ("TripRemote/run", "Bonn", '200 "Bonn"', None),
    ("TripRemote/run", "gone", "409 no flight left", "composition.booked"),
    ("TripModules/run", "Ritz", '200 "Ritz"', None),
    ("TripModules/run", "gone", "409 no hotel left", "composition.booked"),
    ("KeyedCounter/a/add", 3, "200 3", None),
    ("KeyedCounter/a/read", None, "200 3", None),
    ("ClientsCheckout/run", TEA, '200 {"product":"tea","paid":50}', None),
    ("ClientsBuy/run", "tea", '200 {"product":"tea","paid":3}', None),
    ("ClientsRemind/run", "tea", '200 "tea for 3"', None),
    ("ClientsShop/run", TEA, "200 ", None),
    ("ClientsShop/run", COSTLY, "402 card declined", None),
    ("ClientsSteps/run", TEA, '200 {"product":"tea","paid":50}', None),
    ("ClientsSteps/run", COSTLY, "402 card declined", None),
    ("RunningKeep/run", "it", '200 "kept it"', None),
    ("RunningKeep/run", "nothing", "422 nothing to keep", "running.kept"),
    (
        "CheckoutWorkflow/run",
        SKU,
        '200 {"reservationId":"res-SKU123","paymentId":"pay-99"}',
        None,
    ),
    ("CheckoutWorkflow/run", SKU | {"amount": 5000}, "402 card", "from_typescript.reserved"),
    ("Wallet/anna/credit", 5, "200 5", None),
    ("Wallet/anna/getBalance", None, "200 5", None),
    ("TripByHand/run", 3, "200 ", None),
    ("TripBySaga/run", 3, "200 ", None),
    ("ErrorsLate/run", "five", "400 ErrorsLate: $: expected int, got str", None),
    ("ErrorsMeasure/run", "1.5", "200 1.5", None),
    ("ErrorsLeft/run", "stock", "402 card declined (rollback incomplete", None),
    ("ErrorsAsk/run", "exit", '500 ActionExit("step', None),
    ("TripForSure/run", "Ritz", "200 ", None),
    ("TripPolite/run", "Ritz", '200 "Ritz"', None),
]


def cases_of(page: Path) -> list[tuple[str, object, str, str | None]]:
    return [case for case in CASES if f'("{case[0].split("/")[0]}"' in code(page)]


@pytest.mark.parametrize("name", PAGES)
def test_calls_give_what_the_page_says(name: str, guide: Guide) -> None:
    cases = cases_of(PAGES[name])
    assert cases
    for path, value, told, unchanged in cases:
        before = None if unchanged is None else guide.look(unchanged)
        answer = guide.told(path, value)
        assert answer.startswith(told), f"{path} of {value}: {answer}"
        if unchanged is not None:
            assert guide.look(unchanged) == before, f"{path} of {value}"


def test_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    page = PAGES["tutorial"]
    (tmp_path / "trip.py").write_text(code(page), "utf-8")
    assert [run_python("trip.py", cwd=tmp_path)] == blocks(page, "text")


def test_rollback_is_that_of_the_picture(guide: Guide) -> None:
    began = len(guide.look("failure.log"))
    assert guide.told("FailureOrder/run", "piano") == PIANO
    log: list[str] = guide.look("failure.log")[began:]
    assert ["\n".join(log) + "\n"] == blocks(PAGES["failure"], "text")
    picture = (DOCS / "assets" / "rollback.svg").read_text("utf-8")
    boxes = re.findall(r">((?:compensate:)?[A-Z]\w+)</text>", picture)
    undone = [entry.split(",")[0].replace("undo ", "compensate:") for entry in log[3:]]
    assert [box for box in boxes if box in log] == log[:3]
    assert [box for box in reversed(boxes) if ":" in box] == undone


def test_failure_has_every_rule_once() -> None:
    text = PAGES["failure"].read_text("utf-8")
    rules = re.findall(r"^### (R\d+): .+ \{ #(r\d+) \}$", text, re.MULTILINE)
    assert rules == [(f"R{number}", f"r{number}") for number in range(1, 31)]


@pytest.mark.parametrize(
    ("path", "value", "told", "log"),
    [
        (
            "TripAnyhow/run",
            "gone",
            '200 "Bergen by train"',
            ["book hotel Bergen", "book train Oslo", "cancel train oslo", "book train Bergen"],
        ),
        (
            "TripForSure/run",
            "gone",
            "409 no hotel left",
            ["book flight Rome", "book train Rome", "cancel train rome"],
        ),
        ("TripPolite/run", "gone", "409 no hotel left", ["sorry, Anna"]),
    ],
)
def test_composition_undoes_what_it_says(
    path: str, value: str, told: str, log: list[str], guide: Guide
) -> None:
    began = len(guide.look("composition.log"))
    assert guide.told(path, value) == told
    assert guide.look("composition.log")[began:] == log


@pytest.mark.parametrize(("approved", "status"), [(True, 200), (False, 403)])
def test_purchase_waits_for_approval(approved: bool, status: int, guide: Guide) -> None:
    key = f"Purchase/{approved}"
    held = len(guide.look("keyed.held"))
    assert guide.call(f"{key}/run/send", 70).status_code == 202
    assert guide.call(f"{key}/approve", approved).status_code == 200
    assert guide.attach(key).status_code == status
    assert len(guide.look("keyed.held")) == held + (1 if approved else 0)
    assert guide.call(f"{key}/getState").json() == (
        "approved" if approved else "waiting for approval"
    )
    assert guide.call(f"{key}/run", 70).status_code == 409


def test_purchase_in_time_ends_alone(guide: Guide) -> None:
    assert guide.told("PurchaseInTime/a/run", 70) == "408 nobody has answered"


def test_wallet_restores_what_the_page_says(guide: Guide) -> None:
    wallet = "KeyedWallet/anna"
    assert guide.told(f"{wallet}/deposit", 2000) == "200 2000"
    assert guide.told(f"{wallet}/spend", {"amount": 1500, "on": "a boat"}).startswith("402 ")
    assert guide.told(f"{wallet}/spend", {"amount": 50, "on": "a book"}) == "200 1950"
    assert guide.call(f"{wallet}/getBalance").json() == {"balance": 1950, "asked": 2}
    rows = guide.server.query("SELECT key FROM state WHERE service_name = 'KeyedWallet'")
    assert {row["key"] for row in rows} == {"asked", "balance", "spent on a book"}


FROM_OUTSIDE = """
import asyncio, sys
from clients import Order, approve_from_outside, connected, order_from_outside

async def main() -> None:
    async with connected(sys.argv[1]) as client:
        print(await order_from_outside(client, Order("tea", 5000)))
        print(await approve_from_outside(client, "order-7", Order("tea", 5)))

asyncio.run(main())
"""


def test_clients_call_from_outside(guide: Guide) -> None:
    out = run_python("-c", FROM_OUTSIDE, guide.server.ingress_url, cwd=guide.folder)
    assert out == "no: card declined\nReceipt(product='tea', paid=5)\n"


def test_factory_serves_each_tenant(guide: Guide) -> None:
    answer = guide.call("TenantWrite/run", "hello", **{"x-tenant": "acme"})
    assert answer.json() == "acme: hello"


@pytest.mark.parametrize("name", ["TripByHand", "TripBySaga"])
def test_both_kinds_of_trip_roll_back_alike(name: str, guide: Guide) -> None:
    before = guide.look("from_a_list.flights"), guide.look("from_a_list.cars")
    assert guide.told(f"{name}/run", 99) == "409 no car for so long"
    assert (guide.look("from_a_list.flights"), guide.look("from_a_list.cars")) == before


@pytest.fixture(scope="module")
def server() -> Iterator[RestateServer]:
    """Another server, where one definition after the other is registered anew."""
    with RestateServer() as server:
        yield server


def check_kept(server: RestateServer, folder: Path) -> None:
    own = Guide(server, folder)
    assert own.told("RunningKeep/run", "it") == '200 "kept it"'
    assert own.told("RunningKeep/run", "nothing") == "422 nothing to keep"


@pytest.mark.parametrize("app", ["serverless", "api", "starlette"])
def test_hypercorn_serves_it(app: str, guide: Guide, server: RestateServer) -> None:
    path = "/restate" if app in ("api", "starlette") else ""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = ["-m", "hypercorn", "--bind", f"fd://{listening.fileno()}", f"running:{app}"]
        with subprocess.Popen(
            [sys.executable, *command],
            cwd=guide.folder,
            pass_fds=[listening.fileno()],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as serving:
            try:
                if app == "api":
                    hello = httpx.get(f"{address}/hello", timeout=60, trust_env=False)
                    assert hello.json() == "This is the rest of the application."
                server.register(f"{address}{path}")
                check_kept(server, guide.folder)
            finally:
                os.killpg(serving.pid, signal.SIGKILL)  # Its workers outlive it else.


LAMBDA = '''
"""AWS Lambda, as far as the SDK's adapter sees it: an event for each request."""
import base64, http.server, os, sys
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "shop"
import running

class Invoke(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        event = {"path": self.path, "httpMethod": self.command, "headers": dict(self.headers),
                 "isBase64Encoded": True, "body": base64.b64encode(body).decode()}
        answer = running.app(event, None)
        body = base64.b64decode(answer["body"])
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")  # Else the next connection would wait for this one.
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_):
        pass

with http.server.HTTPServer(("127.0.0.1", 0), Invoke) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
'''


def test_the_same_code_is_a_handler_for_aws_lambda(guide: Guide, server: RestateServer) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LAMBDA], cwd=guide.folder, stdout=subprocess.PIPE, text=True
    ) as bridge:
        try:
            assert bridge.stdout is not None
            uri = f"http://127.0.0.1:{int(bridge.stdout.readline())}"
            answer = httpx.post(
                f"{server.admin_url}/deployments",
                json={"uri": uri, "use_http_11": True},
                timeout=60,
                trust_env=False,
            )
            assert answer.status_code == 201, answer.text
            check_kept(server, guide.folder)
        finally:
            bridge.kill()


def test_readme_links_to_the_guide() -> None:
    assert "(docs/index.md)" in (ROOT / "README.md").read_text("utf-8")
