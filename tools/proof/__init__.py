"""Proof that a program computes its model for every input: both run on labels instead of values.

A label is an element of a prime field. Network inputs are random elements, known codes are themselves, sums of products
are computed in the field, and everything that is not linear is a random function of its operands' labels and of its
parameters. A program that computes something else than its model then gives another label somewhere, except with a
probability below 2⁻²⁰ a round, whatever the inputs (Schwartz 1980, Zippel 1979: a polynomial that is not zero vanishes
at few points).

Sums of products are worked out only where a book of the model's convolutions has no place for a pass.

``field`` labels and what is done with them, ``laws`` the float32 parameters of the arithmetic page, ``model`` the
labels of a cnn module, ``machine`` those of a program in the memories of ``memory``, ``book`` the convolutions that
both look up, ``host`` what both say of the regions that the host runs, ``prover`` the comparison and its message;
``onnx_graph`` and ``onnx_values`` how much of the way from a graph to its cnn module follows. Nothing here is shared
with passes, engine, hazards or meanings.
"""
