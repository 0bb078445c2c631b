"""What a program says about its own making."""

from __future__ import annotations

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr

NOTES = "recon.notes"
"""The attribute of a module that holds remarks for the user; the program carries them on."""


PLANNED_WITHIN = "Planned within {:,} bytes of SRAM."
"""What a program says that was made for less SRAM than its machine has."""

PUT_IN = "Quantisers were put in where the model has none (--exact puts none in): "
"""How a program begins to say where."""


def add_note(module: ModuleOp, note: str) -> None:
    """A remark for the user, once."""
    before = module.attributes.get(NOTES)
    notes: list[StringAttr] = []
    if isinstance(before, ArrayAttr):
        notes = [each for each in before.data if isinstance(each, StringAttr)]
    if note not in (each.data for each in notes):
        module.attributes[NOTES] = ArrayAttr([*notes, StringAttr(note)])
