"""The checker behind the annotations in the tests: beartype, with an int allowed where a float is asked for."""

from beartype import BeartypeConf, beartype

__all__ = ["check"]

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
