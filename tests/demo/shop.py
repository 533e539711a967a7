"""A shop that logs: requests, orders, tasks, and a deploy that breaks the checkout for some.

Pure: what it logs follows from the time, so that a history and what goes on after it fit together.
The story: version 2.14.0 goes out. Customers without a VAT id can't check out any more (KeyError);
the retries hold connections, and minutes later the pool is used up (TimeoutError). A rollback to
2.13.4 ends both. Two older faults go on all the time: a slow payment gateway, a mail server.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from typing import NamedTuple

DEPLOY_AFTER_S = 2480.0
ROLLBACK_AFTER_S = 4500.0
POOL_AFTER_S = 560.0
STORY_S = 8900.0
"""How long before its end the history begins; the log before that is quiet."""

HOSTS = {"10.20.0.11": "web-1", "10.20.0.12": "web-2", "10.20.0.21": "worker-1"}
USERS = ("ann", "bo", "chen", "dmitri", "eve", "farid", "grace", "hugo", "ines", "jonas", "kim",
         "lena", "mia", "noor", "olga", "pia", "quin", "rosa", "sam", "tess")  # fmt: skip
NO_VAT_ID = frozenset(USERS[::2])
"""Private customers: they are who the new version fails for."""

PAGES = ("/", "/cart", "/checkout", "/account", "/login", "/search", "/p/42", "/p/1337",
         "/api/price", "/api/stock")  # fmt: skip
TASKS = ("send_receipt", "update_stock", "export_invoices", "rebuild_search")


class Logged(NamedTuple):
    """One record."""

    time: float
    cat: str
    logger: str
    msg: str
    file: str
    line: int
    func: str
    host: str
    pid: int
    thread: str
    items: dict[str, object]


_LIBRARY = "/srv/shop/venv/lib/python3.12/site-packages"

KEY_ERROR = f"""checkout failed
Traceback (most recent call last):
  File "{_LIBRARY}/django/core/handlers/exception.py", line 55, in inner
    response = get_response(request)
               ^^^^^^^^^^^^^^^^^^^^^
  File "{_LIBRARY}/django/core/handlers/base.py", line 197, in _get_response
    response = wrapped_callback(request, *callback_args, **callback_kwargs)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop/checkout/views.py", line 118, in checkout
    invoice = build_invoice(cart, request.customer)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop/billing/invoice.py", line 64, in build_invoice
    vat = rates[customer["vat_id"][:2]]
                ~~~~~~~~^^^^^^^^^^
KeyError: 'vat_id'"""

TIMEOUT_ERROR = f"""checkout failed
Traceback (most recent call last):
  File "/srv/shop/shop/checkout/views.py", line 104, in checkout
    cart = Cart.load(session, request.cart_id)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop/checkout/cart.py", line 31, in load
    return session.get(Cart, cart_id)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{_LIBRARY}/sqlalchemy/pool/impl.py", line 166, in _do_get
    raise exc.TimeoutError(
sqlalchemy.exc.TimeoutError: QueuePool limit of size 10 overflow 5 reached, connection timed out, \
timeout 30.00"""

GATEWAY_TIMEOUT = f"""card payment of order {{order}} failed
Traceback (most recent call last):
  File "{_LIBRARY}/urllib3/connectionpool.py", line 534, in _make_request
    response = conn.getresponse()
               ^^^^^^^^^^^^^^^^^^
TimeoutError: Read timed out

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/shop/checkout/views.py", line 133, in pay
    receipt = gateway.charge(order)
              ^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/shop/payments/gateway.py", line 93, in charge
    raise GatewayTimeout(order.id) from exc
shop.payments.errors.GatewayTimeout: {{order}}"""

SMTP_ERROR = """task send_receipt[{task}] raised
Traceback (most recent call last):
  File "/srv/shop/shop/tasks/mail.py", line 41, in send_receipt
    server.send_message(mail)
  File "/usr/lib/python3.12/smtplib.py", line 398, in getreply
    raise SMTPServerDisconnected("Connection unexpectedly closed")
smtplib.SMTPServerDisconnected: Connection unexpectedly closed"""


def records(start: float, stop: float, begins: float, seed: int = 5) -> Iterator[Logged]:
    """What the shop logs between two times, in order.

    Args:
        start: the first time.
        stop: the time that ends it.
        begins: when the story begins.
        seed: of the chance in it.
    """
    marks = [mark for mark in _marks(begins) if start <= mark.time < stop]
    yield from heapq.merge(
        marks, _traffic(start, stop, begins, seed), key=lambda record: record.time
    )


def _traffic(start: float, stop: float, begins: float, seed: int) -> Iterator[Logged]:
    chance = random.Random(f"{seed} {int(start)}")
    order = 92_000 + int(start - begins) // 12
    moment = start
    while True:
        moment += chance.expovariate(1.7)
        if moment >= stop:
            return
        order += 1
        yield from _request(chance, moment, moment - begins, order)


def _marks(begins: float) -> Iterator[Logged]:
    place = ("/srv/deploy/deploy.py", 12, "announce", "10.20.0.21", 301, "MainThread")
    for after, text, version in (
        (DEPLOY_AFTER_S, "deploy 2.14.0", "2.14.0"),
        (ROLLBACK_AFTER_S, "rollback 2.13.4", "2.13.4"),
    ):
        yield Logged(begins + after, "I", "deploy", text, *place, {"version": version})


def _request(chance: random.Random, moment: float, age: float, order: int) -> Iterator[Logged]:
    host = chance.choice(("10.20.0.11", "10.20.0.12"))
    pid = (4100 if host.endswith("11") else 2200) + chance.randint(1, 4)
    thread = f"ThreadPoolExecutor-0_{chance.randint(0, 7)}"
    user = chance.choice(USERS)
    request = f"{chance.getrandbits(40):010x}"
    where = (host, pid, thread)
    items: dict[str, object] = {"request_id": request, "user": user}
    broken = DEPLOY_AFTER_S + 17 <= age < ROLLBACK_AFTER_S
    kind = chance.random()
    if kind < 0.16:
        yield Logged(moment, "D", "shop.cache", f"cache hit price:{chance.randint(1000, 4000)}",
                     "/srv/shop/shop/cache.py", 51, "get", *where, items)  # fmt: skip
    elif kind < 0.26:
        yield from _checkout(chance, moment, age, order, where, items, is_broken=broken)
    elif kind < 0.46:
        yield from _task(chance, moment)
    elif kind < 0.53:
        address = f"203.0.113.{chance.randint(1, 254)}"
        yield Logged(moment, "I", "shop.auth", f"login of {user} from {address}",
                     "/srv/shop/shop/auth.py", 31, "login", *where,
                     {**items, "ip": address})  # fmt: skip
    elif kind < 0.545:
        took = chance.randint(1100, 4000)
        yield Logged(moment, "W", "shop.db", f"slow query: {took} ms in orders",
                     "/srv/shop/shop/db.py", 90, "timed", *where,
                     {**items, "ms": took})  # fmt: skip
    else:
        took = int(chance.lognormvariate(3.5, 0.5))
        status = chance.choice((200, 200, 200, 200, 304))
        page = chance.choice(PAGES)
        yield Logged(moment, "I", "shop.access", f"GET {page} {status} in {took} ms",
                     "/srv/shop/shop/middleware.py", 77, "__call__", *where,
                     {**items, "ms": took, "status": status})  # fmt: skip


def _checkout(
    chance: random.Random, moment: float, age: float, order: int, where: tuple[str, int, str],
    items: dict[str, object], *, is_broken: bool,
) -> Iterator[Logged]:  # fmt: skip
    place = ("/srv/shop/shop/checkout/views.py", 140, "checkout")
    total = f"{chance.uniform(9, 420):.2f}"
    yield Logged(moment, "I", "shop.checkout", f"checkout of cart {order} begins, {total} EUR",
                 place[0], 99, "checkout", *where, items)  # fmt: skip
    if is_broken and items["user"] in NO_VAT_ID:
        yield Logged(moment + 0.2, "E", "shop.checkout", KEY_ERROR, *place, *where, items)
    elif is_broken and age > DEPLOY_AFTER_S + POOL_AFTER_S and chance.random() < 0.45:
        yield Logged(moment + 0.4, "E", "shop.checkout", TIMEOUT_ERROR, *place, *where, items)
    elif chance.random() < 0.02:
        yield Logged(moment + 0.3, "E", "shop.payments", GATEWAY_TIMEOUT.format(order=order),
                     place[0], 133, "pay", *where, items)  # fmt: skip
    else:
        yield Logged(moment + 0.3, "I", "shop.checkout", f"order {order} paid, {total} EUR",
                     place[0], 136, "pay", *where, {**items, "eur": float(total)})  # fmt: skip


def _task(chance: random.Random, moment: float) -> Iterator[Logged]:
    name = chance.choice(TASKS)
    task = f"{chance.getrandbits(48):012x}"
    where = ("10.20.0.21", 8742, "MainThread")
    items: dict[str, object] = {"task": task}
    if name == "send_receipt" and chance.random() < 0.015:
        yield Logged(moment, "E", "shop.tasks", SMTP_ERROR.format(task=task),
                     "/srv/shop/shop/tasks.py", 61, "run", *where, items)  # fmt: skip
    else:
        took = f"{chance.lognormvariate(-0.3, 0.6):.3f}"
        yield Logged(moment, "I", "shop.tasks", f"task {name}[{task}] succeeded in {took}s",
                     "/srv/shop/shop/tasks.py", 48, "run", *where, items)  # fmt: skip
