"""Guarantee 5: everything that a client can cause has a price that the client pays."""

from typing import Final

from tools.mutations.mutation import Mutation

_ACCOUNTS = "tests/connection/test_accounts.py"

MUTATIONS: Final = (
    Mutation(
        5,
        "A client pays for the steps of tasks that nobody pays for.",
        "gateway/ops/loop_time.py",
        "            self._used_before = self._used()\n",
        "            pass\n",
        (f"{_ACCOUNTS}::test_a_step_is_charged_to_the_payer_of_its_task_and_of_those_that_it_starts",),
    ),
    Mutation(
        5,
        "A client in debt is served as soon as others.",
        "gateway/session/request_source.py",
        "            await self._wait_paid()\n",
        "",
        (f"{_ACCOUNTS}::test_a_busy_client_is_served_later_and_others_at_once",),
    ),
    Mutation(
        5,
        "A client in debt is read as soon as others.",
        "gateway/connection/websocket.py",
        "            await trio.sleep(min(pause, MOST_PAUSE))\n",
        "            pass\n",
        (f"{_ACCOUNTS}::test_a_client_that_floods_pings_is_read_later",),
    ),
    Mutation(
        5,
        "A client is closed for the debt of its neighbours.",
        "gateway/session/request_source.py",
        "        if self.connection.own_debt > MOST_DEBT:\n",
        "        if self.connection.debt > MOST_DEBT:\n",
        (f"{_ACCOUNTS}::test_a_client_waits_for_the_debt_of_its_neighbours_and_is_not_closed",),
    ),
    Mutation(
        5,
        "The account of an address begins anew with each connection.",
        "gateway/connection/accounts.py",
        "        account = self._addresses.get(key)\n",
        "        account = None\n",
        (f"{_ACCOUNTS}::test_the_debt_of_an_address_outlives_its_connections",),
    ),
    Mutation(
        5,
        "Nobody pays for HTTP requests.",
        "gateway/http/front_door.py",
        "        payer.set(Account(address))\n",
        "",
        ("tests/front_door/test_upgrades.py::test_the_address_pays_for_a_request",),
    ),
    Mutation(
        5,
        "Unread bytes of all clients together have no bound.",
        "gateway/connection/unread.py",
        "        if self.size > self.max_bytes:\n",
        "        if False:\n",
        ("tests/connection/test_reading.py::test_what_nobody_has_read_is_bounded_for_all_clients_together",),
    ),
    Mutation(
        5,
        "A member who reads slowly gets messages until the gateway closes it.",
        "gateway/session/handlers.py",
        " if receiver.connection.backlog < limit",
        "",
        ("tests/session/test_requests.py::test_messages_do_not_endanger_a_member_who_reads_slowly",),
    ),
)
