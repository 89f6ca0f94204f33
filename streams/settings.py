"""The settings of every processor and command: checked whole before anything starts.

Defaults are under a TOML file, that under secret files, those under the environment
(`FILLONCE_KAFKA__BOOTSTRAP`: `__` goes down one table), that under what a command line says.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from processors import limits
from processors.records.market import FeeMode
from processors.signals import StrategyConfig

PREFIX: Final = "FILLONCE_"
OTHERS: Final = frozenset({"accounts", "simulator"})
"""Tables of a settings file that other commands read: `accounts apply`, `simulator`."""


def _seconds(value: object) -> object:
    if isinstance(value, str) and value != "off":
        return float(value) if value.replace(".", "", 1).isdigit() else value
    return value


Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Delay = Annotated[Seconds | Literal["off"], BeforeValidator(_seconds)]


class Section(BaseModel):
    """A closed table: an unknown key is an error, never a setting that does nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Kafka(Section):
    """Where the broker is."""

    bootstrap: str = Field("127.0.0.1:9092", min_length=1, description="host:port, by commas.")
    replication_factor: int = Field(1, ge=1, description="Copies of each new topic.")
    client: dict[str, str] = Field(
        default={}, repr=False, description="Settings of librdkafka, such as TLS."
    )
    password: SecretStr | None = Field(None, description="sasl.password of every client.")


class SchemaRegistry(Section):
    """Where schemas have their ids."""

    url: str = Field("http://127.0.0.1:8081/apis/ccompat/v7", min_length=1, description="Its URL.")
    user: str = Field("", description="Name for basic authentication; empty for none.")
    password: SecretStr | None = Field(None, description="Password of that name.")


class Partitions(Section):
    """Counts of partitions: those of the state, which never change under data."""

    account: int = Field(4, ge=1, le=1_000, description="Of the topics by account.")
    instrument: int = Field(4, ge=1, le=1_000, description="Of the topics by instrument.")


class StrategySection(Section):
    """One strategy: two averages that cross, and a bound of strength to enter under."""

    name: str = Field(min_length=1, description="Name that accounts subscribe to.")
    fast: int = Field(9, gt=0, description="Period of the fast average, bars.")
    slow: int = Field(21, gt=0, description="Period of the slow average, bars.")
    rsi: int = Field(14, gt=1, description="Period of the strength index, bars.")
    rsi_max: float = Field(70.0, ge=0, le=100, description="Nothing is entered at or above it.")
    interval: int | None = Field(None, gt=0, description="Bars, seconds; the common one if unset.")


class Market(Section):
    """What is made of ticks."""

    intervals: tuple[int, ...] = Field(
        (1, 60, 300, 3_600, 86_400), description="Lengths of the bars, seconds."
    )
    strategy_interval: int = Field(300, gt=0, description="Bars that strategies read, seconds.")
    protection_interval: int = Field(
        1, gt=0, description="Bars on which stops are judged, seconds."
    )
    seen_trades: int = Field(
        limits.SEEN_TRADES, ge=0, description="Trade ids kept to drop a feed's repeats; 0: none."
    )
    max_market_delay: Delay = Field(
        limits.MARKET_DELAY_MAX.total_seconds(),
        description="Most that market time may be behind, seconds; off for recorded sources.",
    )


class Credentials(Section):
    """How one account is known at its venue."""

    key: str = Field(min_length=1, description="API key.")
    secret: SecretStr = Field(description="Signs its requests.")


class Venue(Section):
    """Where orders go."""

    kind: Literal["none", "simulator", "binance"] = Field(
        "none", description="simulator: keys follow from the account; binance: they are given."
    )
    name: str = Field("SIMULATOR", min_length=1, description="EXCHANGE of its instruments.")
    base_url: str = Field("", description="In place of the venue's own URLs; the simulator's.")
    instruments: tuple[str, ...] = Field(
        (), description="EXCHANGE:BASE/QUOTE whose rules are read."
    )
    accounts: dict[str, Credentials] = Field(default={}, description="By account name.")
    fee_mode: FeeMode = Field(FeeMode.RECEIVED, description="Asset in which fees are taken.")
    timeout: Seconds = Field(5.0, description="Of a request, seconds.")
    rate_limit: bool = Field(True, description="Whether to keep to the venue's limits.")
    calls_at_once: int = Field(16, ge=1, le=256, description="Most orders under way at a time.")
    rules_every: Seconds = Field(600.0, description="Seconds between readings of the rules.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind == "simulator" and not self.base_url:
            raise ValueError("the simulator needs venue.base_url")
        return self


class Execution(Section):
    """Bounds on waiting for a venue, wall time."""

    hold_query_age: Seconds = Field(
        limits.HOLD_QUERY_AGE.total_seconds(),
        description="After it an order is asked for, seconds.",
    )
    clock: Seconds = Field(1.0, description="Seconds between looks at what is in flight.")


class Risk(Section):
    """What risk_manager is told besides policies."""

    configured_prices: dict[str, Decimal] = Field(
        default={}, description="A constant price by instrument; each use is counted and alerted."
    )
    max_hold_age: Seconds = Field(120.0, description="After it a hold raises an alert, seconds.")
    clock: Seconds = Field(1.0, description="Seconds between looks at the ages of holds.")


class DeadLetters(Section):
    """What becomes of records that cannot be processed, and how many of them are too many."""

    policy: Literal["continue", "stop"] = Field(
        "continue", description="continue: set such a record aside; stop: the worker stops at it."
    )
    retries: int = Field(2, ge=0, le=1_000, description="Tries of such a record alone.")
    rate: float = Field(
        0.01, ge=0, le=1, description="Part of a full window above which a worker stops; 0: none."
    )
    window: int = Field(1_000, ge=1, le=100_000, description="Records of a partition looked at.")
    run: int = Field(
        50, ge=0, description="So many in a row in a partition stop a worker; 0: no such bound."
    )


class Source(Section):
    """Where ticks come from."""

    kind: Literal["none", "recorded"] = Field("none", description="recorded: a file of trades.")
    file: Path | None = Field(None, description="The demo's recorded trades if not given.")
    instrument: str = Field("SIMULATOR:BTC/USD", description="What its rows are trades of.")
    pace: str = Field(
        "max", pattern=r"^(max|settled|\d+(\.\d+)?x)$", description="max, settled, or Nx real time."
    )
    batch: int = Field(500, ge=1, le=10_000, description="Most rows in one transaction.")


class Settings(BaseSettings):
    """All settings; build it with `load_settings`, which says where each value came from."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, hide_input_in_errors=True
    )

    instance_id: str = Field("0", min_length=1, description="Slot of this worker in its group.")
    data: Path = Field(Path(".fillonce"), description="Folder of local state.")
    batch_max: int = Field(5_000, ge=1, description="Most records in one transaction.")
    store: Literal["memory://", "rocksdb://"] = Field(
        "memory://", description="Where tables are kept; rocksdb: on disk, restored by delta."
    )
    state_dir: Path | None = Field(
        None, description="Folder of rocksdb's tables; `state` in the data folder if not given."
    )
    kafka: Kafka = Kafka()
    registry: SchemaRegistry = SchemaRegistry()
    partitions: Partitions = Partitions()
    strategies: tuple[StrategySection, ...] = (
        StrategySection(name="ema_cross_9_21", fast=9, slow=21),
        StrategySection(name="ema_cross_12_26", fast=12, slow=26),
    )
    market: Market = Market()
    venue: Venue = Venue()
    execution: Execution = Execution()
    risk: Risk = Risk()
    dead_letters: DeadLetters = DeadLetters()
    source: Source = Source()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic passes all four
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see there
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see there
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see there
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is passed in: `load_settings` reads the sources, and knows which of them won."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [each.name for each in self.strategies]
        if len(set(names)) != len(names):
            raise ValueError("two strategies have one name")
        if self.market.protection_interval not in self.every_interval:
            raise ValueError("market.protection_interval is not one of the intervals")
        return self

    @property
    def strategy_configs(self) -> tuple[StrategyConfig, ...]:
        """The strategies as the core reads them."""
        return tuple(
            StrategyConfig(
                name=each.name,
                fast=each.fast,
                slow=each.slow,
                rsi=each.rsi,
                rsi_max=each.rsi_max,
                interval=each.interval or self.market.strategy_interval,
            )
            for each in self.strategies
        )

    @property
    def every_interval(self) -> tuple[int, ...]:
        """Lengths of all bars that are made, in order."""
        used = {each.interval or self.market.strategy_interval for each in self.strategies}
        return tuple(sorted({*self.market.intervals, *used}))

    @property
    def market_delay(self) -> timedelta | None:
        """Most that market time may be behind; None for recorded sources."""
        delay = self.market.max_market_delay
        return None if isinstance(delay, str) else timedelta(seconds=delay)

    @property
    def kafka_client(self) -> dict[str, Any]:
        """Settings that every Kafka client has beyond the address, secrets included."""
        password = self.kafka.password
        secret = {} if password is None else {"sasl.password": password.get_secret_value()}
        return {**self.kafka.client, **secret}

    def masked(self) -> dict[str, Any]:
        """Return all values as plain data, with every secret masked."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        client = plain["kafka"]["client"]
        for name in client:
            if any(word in name for word in ("password", "secret", "ssl.key.pem", "sasl.oauth")):
                client[name] = "**********"
        return plain


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """Return the settings of a run; see `streams.origins.resolve`.

    Args:
        config: a TOML file.
        given: what the command line says, by top-level name.
    Raises:
        ConfigError: a file cannot be read, a key is unknown, or a value is wrong.
    """
    from streams.origins import resolve

    return resolve(config, given)[0]
