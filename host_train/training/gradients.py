"""The gradients of a batch: distortion, forward, loss, backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.training.forward import Forward
from host_train.training.loader import Loader
from host_train.training.measure import check_logits
from host_train.training.processes import ALONE, Processes
from host_train.training.schedule import Schedule
from host_train.training.teacher import Teacher
from host_train.training.tensors import TensorData

WARM_UP = 3  # batches before a recording: libraries choose their algorithms, and torch compiles, in the first

# Takes a batch, of TensorData its indices int64 [batch]; leaves gradients in the parameters, gives the mean loss and
# how many answers were right, of several processes over the share of this one.
Gradients = Callable[[Any], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Computed:
    """Gradients, operation by operation.

    Parameters
    ----------
    model : torch.nn.Module
        What has the parameters.
    forward : Forward
        How it is computed.
    train : TensorData or Loader
        The images.
    schedule : Schedule
        Distortion and loss.
    teacher : Teacher, optional
        Whose answers are learnt too.
    processes : Processes
        That each take a share of the batch.
    """

    model: nn.Module
    forward: Forward
    train: TensorData | Loader
    schedule: Schedule
    teacher: Teacher | None = None
    processes: Processes = ALONE

    def __call__(self, chosen: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, inputs, labels = self.train.taken(chosen, self.schedule.augmentation, self.processes)
        logits = self.forward(inputs)
        if isinstance(self.train, Loader):
            check_logits(logits, labels)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.schedule.label_smoothing)
        if self.teacher is not None:
            weight, softness = self.schedule.distillation, self.schedule.temperature
            answers = F.log_softmax(self.teacher(images) / softness, 1)
            apart = F.kl_div(F.log_softmax(logits / softness, 1), answers, reduction="batchmean", log_target=True)
            loss = (1 - weight) * loss + weight * softness**2 * apart
        self.model.zero_grad()
        loss.backward()
        return loss.detach(), (logits.argmax(1) == labels).sum()


class Recorded:
    """`Computed` as one CUDA graph: of small networks, launching the operations one by one takes longer than they do.

    What it draws at random is what torch's generator gives at that time, as of operations that are launched.
    """

    def __init__(self, computed: Computed, batch: int) -> None:
        self.chosen = torch.zeros(batch, dtype=torch.int64, device=computed.train.device)
        buffers = [(one, one.clone()) for one in computed.model.buffers()]  # of batch norm: a warm-up is no training
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        tried, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True  # the fastest algorithms
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                computed(self.chosen)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.result = computed(self.chosen)
        torch.backends.cudnn.benchmark = tried
        for one, before in buffers:
            one.copy_(before)

    def __call__(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.chosen.copy_(chosen)
        self.graph.replay()
        return self.result


def gradients(computed: Computed) -> Gradients:
    """The form for the device: on CUDA recorded, if the schedule lets it be compiled, and one process trains."""
    alone = computed.processes.count == 1
    recorded = computed.schedule.compiled and computed.train.device.type == "cuda" and alone
    return Recorded(computed, computed.schedule.batch) if recorded else computed
