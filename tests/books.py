"""Builders for tests of the account's core, and a world of dicts in place of tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from processors import account, ids
from processors.account import Step
from processors.effects import Context, Effect, Event
from processors.records.account import (
    AccountPolicy,
    Control,
    ControlAction,
    Limits,
    Sizing,
    SizingKind,
    Transfer,
    TransferKind,
)
from processors.records.base import Record
from processors.records.market import (
    FeeMode,
    InstrumentRules,
    ReferencePrice,
    Side,
    SymbolStatus,
)
from processors.records.state_account import AccountState, OrderState, PositionState
from processors.records.trade import (
    ExecutionReport,
    ExecutionType,
    Fee,
    IntentKind,
    OrderEvent,
    OrderType,
    Reason,
    Status,
    TimeInForce,
    TradeIntent,
)

D = Decimal
NOW = datetime(2024, 11, 23, 12, 0, 30, tzinfo=UTC)
BTC = "BINANCE:BTC/USDT"
ACCOUNT = "a1"


def make_rules(**changes: Any) -> InstrumentRules:
    fields: dict[str, Any] = {
        "instrument": BTC,
        "exchange": "BINANCE",
        "symbol": "BTC/USDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "base_scale": 8,
        "quote_scale": 8,
        "status": SymbolStatus.TRADING,
        "tick_size": D("0.01"),
        "min_price": D("0.01"),
        "max_price": D(1_000_000),
        "step_size": D("0.00001"),
        "min_quantity": D("0.00001"),
        "max_quantity": D(9_000),
        "market_step_size": D(0),
        "market_min_quantity": D(0),
        "market_max_quantity": D(100),
        "min_notional": D(5),
        "max_notional": D(9_000_000),
        "min_notional_applies_to_market": True,
        "max_notional_applies_to_market": False,
        "max_orders": 200,
        "maker_fee": D("0.001"),
        "taker_fee": D("0.001"),
        "fee_mode": FeeMode.RECEIVED,
        "version": "r1",
        "updated_time": NOW,
    }
    return InstrumentRules(**(fields | changes))


def make_policy(
    *, limits: dict[str, Any] | None = None, sizing: Sizing | None = None, **changes: Any
) -> AccountPolicy:
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "version": 1,
        "subscriptions": (),
        "sizing": sizing or Sizing(kind=SizingKind.AVAILABLE, fraction=D("0.8")),
        "limits": Limits(**(limits or {})),
        "slippage": D(0),
        "stop_loss": D(0),
        "take_profit": D(0),
        "updated_time": NOW,
    }
    return AccountPolicy(**(fields | changes))


def make_price(price: str = "121556.65", *, age: int = 1) -> ReferencePrice:
    time = NOW - timedelta(seconds=age)
    return ReferencePrice(
        instrument=BTC, price=D(price), source="LIVE", market_time=time, received_time=time
    )


def make_intent(intent_id: str = "i1", **changes: Any) -> TradeIntent:
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "intent_id": intent_id,
        "kind": IntentKind.NEW,
        "instrument": BTC,
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.IOC,
        "source_agent": "strategy",
        "market_time": NOW,
        "created_time": NOW,
        "received_time": NOW,
    }
    return TradeIntent(**(fields | changes))


def limit_buy(
    intent_id: str = "i1", quantity: str = "1", price: str = "100", **changes: Any
) -> TradeIntent:
    return make_intent(
        intent_id,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=D(quantity),
        price=D(price),
        **changes,
    )


def make_transfer(
    amount: str,
    asset: str = "USDT",
    transfer_id: str = "t1",
    kind: TransferKind = TransferKind.OPENING,
) -> Transfer:
    return Transfer(
        account=ACCOUNT,
        transfer_id=transfer_id,
        kind=kind,
        asset=asset,
        amount=D(amount),
        created_time=NOW,
    )


def make_control(action: ControlAction, control_id: str = "c1") -> Control:
    return Control(
        account=ACCOUNT,
        control_id=control_id,
        action=action,
        reason="a test",
        actor="operator",
        created_time=NOW,
    )


def make_report(
    intent_id: str,
    kind: ExecutionType,
    status: Status,
    *,
    filled: str | Decimal = "0",
    value: str | Decimal = "0",
    last: str | Decimal = "0",
    price: str | Decimal | None = None,
    trade: str | None = None,
    fees: tuple[tuple[str, str], ...] = (),
    **changes: Any,
) -> ExecutionReport:
    client = ids.client_order_id(ACCOUNT, intent_id)
    fields: dict[str, Any] = {
        "source_agent": "execution",
        "account": ACCOUNT,
        "order_id": ids.order_id(ACCOUNT, intent_id),
        "client_order_id": client,
        "exchange": "BINANCE",
        "symbol": "BTC/USDT",
        "instrument": BTC,
        "side": Side.BUY,
        "status": status,
        "execution_type": kind,
        "execution_id": ids.execution_id(client, kind, trade, status, D(filled)),
        "trade_id": trade,
        "filled_quantity": D(filled),
        "leaves_quantity": D(0),
        "average_price": D(0),
        "total_value": D(value),
        "last_quantity": D(last),
        "last_price": D(price) if price is not None else None,
        "fee": D(0),
        "fee_currency": "USDT",
        "fees": tuple(Fee(asset=asset, amount=D(amount)) for asset, amount in fees),
        "execution_time": NOW,
        "market_time": NOW,
        "created_time": NOW,
        "received_time": NOW,
    }
    return ExecutionReport(**(fields | changes))


def make_trade(
    intent_id: str, trade: str, last: str, price: str, filled: str, status: Status, **changes: Any
) -> ExecutionReport:
    return make_report(
        intent_id,
        ExecutionType.TRADE,
        status,
        trade=trade,
        last=last,
        price=price,
        filled=filled,
        **changes,
    )


@dataclass
class World:
    """One account's four tables as dicts, and the log of all that was decided."""

    rules: InstrumentRules | None = field(default_factory=make_rules)
    policy: AccountPolicy | None = field(default_factory=make_policy)
    price: ReferencePrice | None = field(default_factory=make_price)
    configured: Decimal | None = None
    now: datetime = NOW
    tables: dict[str, dict[str, Record]] = field(
        default_factory=lambda: {"accounts": {}, "orders": {}, "positions": {}, "seen": {}}
    )
    effects: list[Effect] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def apply(self, *events: Event) -> Step:
        """Apply events; return the step of the last."""
        step: Step | None = None
        for event in events:
            context = Context(
                now=self.now,
                rules=self.rules,
                price=self.price,
                policy=self.policy,
                configured_price=self.configured,
            )
            step = account.step(account.read(account.keys(event), self.tables), event, context)
            for table, key, entry in step.writes:
                self.tables[table][key] = entry
            self.effects += step.effects
            self.records += step.records
        assert step is not None
        return step

    def decision(self, event: Event) -> OrderEvent:
        """Apply an intent and return the decision on it."""
        found = [record for record in self.apply(event).records if isinstance(record, OrderEvent)]
        assert len(found) == 1
        return found[0]

    def reason(self, event: Event) -> Reason | None:
        """Apply an intent and return why it was denied."""
        return self.decision(event).reason

    @property
    def account(self) -> AccountState:
        """The account's entry."""
        entry = self.tables["accounts"][ACCOUNT]
        assert isinstance(entry, AccountState)
        return entry

    def order(self, intent_id: str = "i1") -> OrderState:
        """The entry of an intent's order."""
        entry = self.tables["orders"][f"{ACCOUNT}|{ids.order_id(ACCOUNT, intent_id)}"]
        assert isinstance(entry, OrderState)
        return entry

    @property
    def orders(self) -> list[OrderState]:
        """All orders."""
        return [entry for entry in self.tables["orders"].values() if isinstance(entry, OrderState)]

    @property
    def position(self) -> PositionState:
        """The entry of the position."""
        entry = self.tables["positions"][f"{ACCOUNT}|{BTC}"]
        assert isinstance(entry, PositionState)
        return entry

    def total(self, asset: str = "USDT") -> Decimal:
        """Total of an asset."""
        balance = self.account.balances.get(asset)
        return balance.total if balance else D(0)

    def held(self, asset: str = "USDT") -> Decimal:
        """Held of an asset."""
        balance = self.account.balances.get(asset)
        return balance.held if balance else D(0)

    def available(self, asset: str = "USDT") -> Decimal:
        """Available of an asset."""
        return self.total(asset) - self.held(asset)


def values(*figures: object) -> tuple[object, ...]:
    """Figures side by side, so that one line can compare several of them with whole numbers."""
    return figures
