"""Copies of modules with weights so small that a norm's epsilon decides what comes out."""

import copy
from typing import TypeVar

import torch
from torch import nn

from scripts.goldens.registry import Case

Module = TypeVar("Module", bound=nn.Module)

BRANCH_ENDS = ("to_out.", "ff.net.2.")  # the last layer of each residual branch


@torch.no_grad()
def probed(case: Case, output: str, module: Module) -> Module:
    """A copy of the module with small branches, so that the norm's epsilon decides the output.

    Which tensors are scaled depends on the output: the last layer of each branch only, or all
    matrices and biases.
    """
    module = copy.deepcopy(module)
    ends_only = output in case["gain_rule_2"]
    for name, parameter in module.named_parameters():
        at_end = any(end in name for end in BRANCH_ENDS)
        if at_end if ends_only else parameter.ndim >= 2 or name.endswith("bias"):
            parameter.mul_(case["weight_gain"])
    return module
