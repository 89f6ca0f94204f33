"""The simulated venue itself, without HTTP: accounts, orders, balances, one market clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from connectors.simulator.book import AccountBook, Book, Change
from connectors.simulator.config import Config
from connectors.simulator.rows import Order
from processors import matching, money
from processors.matching import Fill, Match, Request, Tape
from processors.records.market import FeeMode, Side
from processors.records.trade import OrderType

ZERO: Final = Decimal(0)
CLIENT_ORDER_ID: Final = re.compile(r"[a-zA-Z0-9-_.:/]{1,36}")


class VenueError(Exception):
    """A refusal in Binance's words.

    Args:
        code: such as -2010.
        message: such as "Duplicate order sent.".
        status: of the HTTP answer.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Venue:
    """Takes orders and answers at once; each method is one step, committed before it returns."""

    def __init__(self, config: Config, tape: Tape, book: Book) -> None:
        self.config = config
        self.tape = tape
        self.book = book
        for account in config.accounts:
            book.add_account(account.name, account.secret, account.balances)

    def set_clock(self, market_time: int) -> int:
        """Move the market clock; it never goes back.

        Args:
            market_time: microseconds.
        Returns:
            The clock now.
        """
        if market_time > self.book.clock:
            self.book.commit(self._advance(market_time), clock=market_time)
        return self.book.clock

    def place(self, account: str, client_order_id: str, request: Request) -> Order:
        """Take an order: check it, match it, commit it.

        Args:
            account: whose.
            client_order_id: unique among the account's open orders, as at Binance.
            request: the order.
        Returns:
            The order after the match.
        Raises:
            VenueError: it is refused; nothing was booked.
        """
        book = self.book.accounts[account]
        try:
            return self._place(book, client_order_id, request)
        except VenueError as e:
            self.book.note_refusal(account, client_order_id, e.message)
            raise

    def _place(self, book: AccountBook, client_order_id: str, request: Request) -> Order:
        if not CLIENT_ORDER_ID.fullmatch(client_order_id):
            raise VenueError(-1100, "Illegal characters found in parameter 'newClientOrderId'.")
        before = book.latest.get(client_order_id)
        if before is not None and before in book.open:
            raise VenueError(-2010, "Duplicate order sent.")
        clock, rules = self.book.clock, self.config.rules
        refusal = matching.check(request, rules, self.tape.last_price(clock), len(book.open))
        if refusal is not None:
            raise VenueError(refusal.code, refusal.message)
        result = matching.match(request, self.tape, clock, rules, self.config.matching)
        asset, needed = self._needed(request, result)
        if book.free(asset) < needed:
            raise VenueError(-2010, "Account has insufficient balance for requested action.")
        entry = clock + self.config.matching.latency
        order = Order(book.next_order_id(), client_order_id, request, clock, entry, result)
        self.book.commit([self._change(book, None, order)], created=True)
        return book.orders[order.order_id]

    def find(self, account: str, order_id: int | None, client_order_id: str | None) -> Order | None:
        """Look an order up; by client id the newest of that id.

        Args:
            account: whose.
            order_id: the venue's id, or None.
            client_order_id: the client's id, or None.
        Returns:
            The order, or None.
        """
        book = self.book.accounts[account]
        if order_id is None and client_order_id is not None:
            order_id = book.latest.get(client_order_id)
        order = None if order_id is None else book.orders.get(order_id)
        if order is not None and client_order_id not in (None, order.client_order_id):
            return None
        return order

    def cancel(self, account: str, order_id: int | None, client_order_id: str | None) -> Order:
        """Cancel an open order.

        Args:
            account: whose.
            order_id: the venue's id, or None.
            client_order_id: the client's id, or None.
        Returns:
            The order after it.
        Raises:
            VenueError: no such order is open.
        """
        order = self.find(account, order_id, client_order_id)
        if order is None or not order.open:
            raise VenueError(-2011, "Unknown order sent.")
        book = self.book.accounts[account]
        time = max(self.book.clock, order.match.time)
        after = replace(order, canceled=True, match=replace(order.match, time=time))
        self.book.commit([self._change(book, order, after)])
        return after

    def trades(self, account: str) -> Iterator[tuple[int, Order, Fill]]:
        """Walk an account's trades in order of their ids."""
        found = [
            (trade, order, fill)
            for order in self.book.accounts[account].orders.values()
            for trade, fill in zip(order.trade_ids, order.match.fills, strict=True)
        ]
        yield from sorted(found, key=lambda row: row[0])

    def _advance(self, clock: int) -> Iterator[Change]:
        for book in self.book.accounts.values():
            trades = book.trades
            totals, locked = dict(book.totals), dict(book.locked)
            for order_id in sorted(book.open):
                order = book.orders[order_id]
                after = matching.advance(
                    order.request, order.match, self.tape, clock, self.config.rules
                )
                if after is order.match:
                    continue
                state = AccountBook(book.name, book.number, "", totals, locked, trades=trades)
                change = self._change(state, order, replace(order, match=after))
                totals.update(change.totals)
                locked.update(change.locked)
                trades += change.new_fills
                # Later changes of one commit build on earlier ones: each carries all balances.
                yield replace(change, totals=dict(totals), locked=dict(locked))

    def _change(self, book: AccountBook, before: Order | None, after: Order) -> Change:
        """Work out trade ids, totals and locks of one order's step."""
        known = 0 if before is None else len(before.match.fills)
        fills = after.match.fills[known:]
        first = book.next_trade_id()
        trade_ids = after.trade_ids + tuple(range(first, first + len(fills)))
        after = replace(after, trade_ids=trade_ids)
        rules, moves = self.config.rules, dict[str, Decimal]()
        for fill in fills:
            sign = 1 if after.request.side is Side.BUY else -1
            for asset, amount in (
                (rules.base_asset, fill.quantity * sign),
                (rules.quote_asset, fill.value * -sign),
                (fill.fee.asset, -fill.fee.amount),
            ):
                moves[asset] = money.add(moves.get(asset, ZERO), amount)
        totals = {
            asset: money.add(book.totals.get(asset, ZERO), amount)
            for asset, amount in moves.items()
        }
        asset, now = self._lock(after)
        was = ZERO if before is None else self._lock(before)[1]
        locked = {}
        if now != was:
            locked[asset] = money.add(book.locked.get(asset, ZERO), now, -was)
        return Change(book.name, after, len(fills), totals, locked)

    def _lock(self, order: Order) -> tuple[str, Decimal]:
        rules, request = self.config.rules, order.request
        if request.side is Side.SELL:
            return rules.base_asset, order.leaves
        value = money.multiply(order.leaves, request.price or ZERO)
        return rules.quote_asset, self._with_fee(value)

    def _needed(self, request: Request, result: Match) -> tuple[str, Decimal]:
        """What must be free for the order to be taken, and in which asset."""
        rules = self.config.rules
        if request.side is Side.SELL:
            return rules.base_asset, request.quantity or result.filled_quantity
        if request.order_type is OrderType.MARKET:
            value = request.quote_quantity or result.total_value
        else:
            value = money.multiply(request.quantity, request.price or ZERO)
        return rules.quote_asset, self._with_fee(value)

    def _with_fee(self, value: Decimal) -> Decimal:
        if self.config.rules.fee_mode is not FeeMode.QUOTE:
            return value
        rate = max(self.config.rules.maker_fee, self.config.rules.taker_fee)
        return money.add(value, money.multiply(value, rate))
