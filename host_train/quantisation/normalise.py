"""The steps by which `fold` brings a graph of layers to the form that has integers.

Afterwards sums go to one place only: to what makes bytes of them, to the addition of something else, or out of the
network; and everything else takes bytes.
"""

from __future__ import annotations

import math

from torch import nn

from host_train.layers.about import about
from host_train.layers.scale import ChannelScale
from host_train.quantisation.draft import Draft
from host_train.quantisation.layers.bytes import Bytes
from host_train.quantisation.layers.rules import (
    absorbed,
    as_scale,
    bounds,
    gives_sums,
    role,
    scale_inputs,
    scale_outputs,
    takes_image,
    takes_skip,
)
from host_train.quantisation.layers.state import Role
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.layers import INPUT

PASSING = (Role.MOVING, Role.FLATTENING)


def normalise(draft: Draft) -> None:
    """Bring a graph to its form; `NetworkError` if it ends with something else than sums."""
    for name in _of(draft, Role.NOTHING):
        draft.remove(name)
    check_end(draft)
    _scales(draft)
    _selections(draft)
    _activations(draft)
    _images(draft)
    _ends(draft)
    _additions(draft)
    _concatenations(draft)
    _bytes(draft)


def _of(draft: Draft, wanted: Role) -> list[str]:
    """Names of the layers of a role."""
    return [name for name, layer in draft.layers.items() if role(layer, name) is wanted]


def _role(draft: Draft, name: str) -> Role | None:
    """Of a layer; None of the network's input."""
    return None if name == INPUT else role(draft.layers[name], name)


def _sums(draft: Draft, name: str) -> bool:
    return name != INPUT and gives_sums(draft.layers[name], name)


def check_end(draft: Draft) -> None:
    """Refuse a network whose last layer gives no sums."""
    name = draft.output
    while _role(draft, name) is Role.FLATTENING:
        name = draft.source(name)
    if _role(draft, name) not in (Role.SUMS, Role.SCALE, Role.ADDITION, Role.CONCATENATION):
        wanted = "the network must end with a Conv2d, a Linear or average pooling, not with"
        if draft.output == INPUT:
            raise NetworkError(f"{wanted} nothing")
        last = draft.output
        raise NetworkError(f"{last}: {wanted} {last}; remove it, or put a Linear behind it", last)


def _scales(draft: Draft) -> None:
    """Batch norms into the weights of the layer before, or of that behind; else each becomes a layer."""
    for name in _of(draft, Role.SCALE):
        with about(name):
            scale, source = as_scale(draft.layers[name]), draft.source(name)
            before = draft.layers.get(source)
            if before is not None and draft.only_user(source) == name and scale_outputs(before, scale):
                draft.remove(name)
                continue
            user = draft.only_user(name)
            behind = user
            while behind and _role(draft, behind) is Role.FLATTENING:
                behind = draft.only_user(behind)
            if behind and scale_inputs(draft.layers[behind], scale):
                draft.remove(name)
                continue
            draft.layers[name] = scale.float()


def _selections(draft: Draft) -> None:
    """Selections into the layers behind them that can take all there is instead."""
    for name in _of(draft, Role.MOVING):
        for user in draft.users(name):
            made = absorbed(draft.layers[name], draft.layers[user])
            if made is not None:
                draft.layers[user] = made
                draft.inputs[user] = draft.inputs[name]
        if not draft.users(name) and name != draft.output:
            draft.remove(name)


def _activations(draft: Draft) -> None:
    """Each directly behind sums of its own: over poolings and selections, as it never falls and leaves 0 where it is;
    two of them as one.
    """
    for name in _of(draft, Role.ACTIVATION):
        with about(name):
            source = draft.source(name)
            while _role(draft, source) in PASSING:
                source = draft.source(source)
            if _role(draft, source) is Role.ACTIVATION and _merged(draft, name, source):
                continue
            source, alone = draft.source(name), name
            while _role(draft, source) in PASSING and draft.only_user(source) == alone and _keeps_zero(draft, name):
                source, alone = draft.source(source), source
            if _sums(draft, source) and draft.only_user(source) == alone:
                if alone != name:
                    draft.move(name, source)
            else:
                draft.put(f"{name}_same", ChannelScale(), draft.source(name), [name])


def _keeps_zero(draft: Draft, name: str) -> bool:
    low, high = bounds(draft.layers[name])
    return low <= 0 <= high


def _merged(draft: Draft, name: str, first: str) -> bool:
    """Make one of two activations without a layer with weights between them, if one of them says it all; whether it is
    done.
    """
    (low, high), (least, most) = (bounds(draft.layers[one]) for one in (name, first))
    if low <= least and most <= high:
        draft.remove(name)
        return True
    if draft.source(name) != first or draft.only_user(first) != name:
        return False
    least, most = min(max(least, low), high), max(min(most, high), low)
    if least >= most:
        return False
    draft.layers[first] = nn.ReLU() if (least, most) == (0.0, math.inf) else nn.Hardtanh(least, most)
    draft.remove(name)
    return True


def _images(draft: Draft) -> None:
    """The network's input in bytes of one step, where a layer needs that."""
    images = {INPUT}
    for name in [one for one, _ in draft.graph().named_children()]:
        taken = [one for one in draft.inputs[name] if one in images]
        if not taken:
            continue
        if not takes_image(draft.layers[name]):
            for one in set(taken):
                draft.put(f"{name}_image", ChannelScale(), one, [name])
        elif _role(draft, name) in PASSING:
            images.add(name)


def _ends(draft: Draft) -> None:
    """Sums behind a concatenation that gives the output."""
    name = draft.output
    while _role(draft, name) is Role.FLATTENING:
        name = draft.source(name)
    if _role(draft, name) is Role.CONCATENATION:
        draft.put(f"{name}_sums", ChannelScale(), name)


def _additions(draft: Draft) -> None:
    """First what gives the sums that are added to, from a layer that does nothing else; where there is none, one that
    gives what it is given.
    """
    for name in _of(draft, Role.ADDITION):
        left, right = draft.inputs[name]
        free = [one for one in (left, right) if one != INPUT and takes_skip(draft.layers[one]) and draft.only_user(one)]
        if free:
            draft.inputs[name] = (left, right) if free[0] == left else (right, left)
        else:
            same = draft.new_name(f"{name}_same")
            draft.layers[same], draft.inputs[same] = ChannelScale(), (left,)
            draft.inputs[name] = (same, right)


def _limits(draft: Draft, name: str) -> set[tuple[float, float]]:
    """Bounds of all activations that the bytes of `name` come from."""
    if _role(draft, name) is Role.ACTIVATION:
        return {bounds(draft.layers[name])}
    if _role(draft, name) in (*PASSING, Role.CONCATENATION):
        return {bound for one in draft.inputs[name] for bound in _limits(draft, one)}
    return {(-math.inf, math.inf)}


def _concatenations(draft: Draft) -> None:
    """Bytes that end with a clamp's bound cannot share their step with others that do not."""
    for name in _of(draft, Role.CONCATENATION):
        limits = {one: _limits(draft, one) for one in draft.inputs[name]}
        if len(set().union(*limits.values())) > 1:
            for one, found in limits.items():
                if any(high < math.inf for _, high in found):
                    draft.put(f"{one}_same", ChannelScale(), one, [name])


def _bytes(draft: Draft) -> None:
    """Bytes behind sums that no activation follows."""
    end = draft.output
    while _role(draft, end) is Role.FLATTENING:
        end = draft.source(end)
    for name in [one for one in draft.layers if _sums(draft, one) and one != end]:
        user = draft.only_user(name)
        if user and _role(draft, user) is Role.ACTIVATION:
            continue
        if user and _role(draft, user) is Role.ADDITION and draft.inputs[user][0] == name:
            continue
        draft.put(f"{name}_bytes", Bytes(), name)
