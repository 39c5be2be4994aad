"""A network, layer after layer."""

from __future__ import annotations

from collections import Counter

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.limits import check_stage
from pynq_cnn.compiler.lower import avgpool, binary, concat, conv2d, dense, maxpool  # noqa: F401  # each registers itself
from pynq_cnn.compiler.lower.homes import find_homes
from pynq_cnn.compiler.lower.rule import Pool, Task, lower_layer, pool_of, takes_pool
from pynq_cnn.compiler.stage import Step
from pynq_cnn.model import INT32, Network


def lower(network: Network, hardware: Hardware, images: int) -> list[Step]:
    """The steps of a network, in order.

    Parameters
    ----------
    network : Network
        What to lower.
    hardware : Hardware
        What it runs on.
    images : int
        How many, in a batch: what is faster may depend on it.

    Raises
    ------
    CompileError
        For a layer that no stage can compute; names the layer and the limit.
    """
    homes = find_homes(network)
    takers = Counter(name for node in network.nodes for name in node.inputs)
    after = {node.inputs[0]: node for node in network.nodes}
    steps: list[Step] = []
    taken: set[str] = set()
    for node in network.nodes:
        if node.name in taken:
            continue
        name, last, pool = node.name, node, Pool()
        behind = after.get(node.name)
        if behind is not None and takers[node.name] == 1 and takes_pool(node.layer):
            found = pool_of(behind.layer)
            if found is not None:
                name, last, pool = f"{node.name}+{behind.name}", behind, found
                taken.add(behind.name)
        given = tuple(homes.views[one] for one in node.inputs)
        gives = None if last.gives.datatype is INT32 else homes.views[last.name]
        task = Task(name, node, given, gives, pool, hardware, images, tuple(homes.copies.get(node.name, ())))
        steps += lower_layer(node.layer, task)
    for step in steps:
        for stage in (*step.dense, *step.sparse):
            check_stage(stage, hardware)
    return steps
