"""Networks that learn while they live, evolved: libhebbes for Python.

    import hebbes as hb

    evo = hb.Evolution(obs=4, act=2, hidden=[16], population=64, generations=50, out="runs/mine")
    for gen in evo:
        lives = gen.ask()                # 64 newborns
        ...                              # actions = lives.act(observations), until all have ended
        print(gen.tell(returns))         # (64,)

    run = hb.load("runs/mine")           # metrics, evaluations, films, the evolved network

docs/python.md has the whole story; every function says its shapes, units and errors.
"""

from ._library import BadInput, Error, Failed, configs, keys, version
from .evolution import Evolution, Generation, Lives, Statistics
from .functions import add_environment
from .pages import info, plan
from .runs import Picture, Policy, Progress, Row, Run, load, plot, train
from .vector import make, make_vec

__version__ = version()
__all__ = ["BadInput", "Error", "Evolution", "Failed", "Generation", "Lives", "Picture", "Policy", "Progress", "Row", "Run", "Statistics", "add_environment", "configs", "info", "keys", "load", "make", "make_vec", "plan", "plot", "train",
           "version"]
