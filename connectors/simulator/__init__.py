"""A venue as a process of its own: enough of Binance spot REST for an unmodified ccxt to trade."""
