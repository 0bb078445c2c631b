"""recon-opt: reads a model or any level of the IR, runs passes, writes the IR again.

xDSL's opt tool with our dialects and passes, an ``.onnx`` front end, ``--to LEVEL`` for the pipeline up to a level,
constants in a side file, output that is written whole or not at all, and errors as a compiler writes them.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import gc
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline
from xdsl.utils.arg_spec import parse_pipeline
from xdsl.utils.exceptions import PassFailedException
from xdsl.xdsl_opt_main import xDSLOptMain

from passes.common.levels import LEVELS, level_of
from passes.every_level.verify_structure import verify_plans
from passes.pipeline import PIPELINE, passes_between
from passes.planner.options import OFFERS, options_from
from sim.machine.errors import ReconError
from tools import CONSTANTS, DEFAULT_MACHINE, VERSION
from tools.options import check_planned_machine, for_passes, input_shapes
from tools.terminal import diagnostics
from tools.terminal.errors import as_error
from tools.terminal.text_target import TextTarget

if TYPE_CHECKING:
    from tools.validation.validate import Validator

_DESCRIPTION = f"""\
Reads an ONNX model or textual IR, runs passes, and writes IR.

  recon-opt model.onnx                       the model as it is, in the onnx dialect
  recon-opt model.onnx --to cnn              all passes down to a level: {", ".join(LEVELS)}
  recon-opt plan.mlir --to accel -o x.mlir   on from any level; constants go to x.safetensors
  recon-opt model.onnx -p 'a,b{{key=value}}'   chosen passes, with options
"""


class _Output(StringIO):
    """Collects what goes to ``-o`` and keeps it past ``close``."""

    content = ""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


class ReconOpt(xDSLOptMain):
    """The tool; ``run`` raises the errors that ``main`` prints."""

    version_format = f"recon-opt {VERSION} (xdsl {{xdsl_version}})"

    def __init__(self, args: Sequence[str] | None = None):
        self.constants: dict[str, Any] = {}
        self.output: _Output | None = None
        self.first_line = 1
        self.validator: Validator | None = None
        super().__init__("", args)
        if self.args.input_file == "-":  # standard input and output, as everywhere
            self.args.input_file = None
        if self.args.output_file == "-":
            self.args.output_file = None

    def register_all_arguments(self, arg_parser: argparse.ArgumentParser) -> None:
        super().register_all_arguments(arg_parser)
        arg_parser.prog = "recon-opt"
        arg_parser.description = _DESCRIPTION
        arg_parser.formatter_class = argparse.RawDescriptionHelpFormatter
        arg_parser.epilog = _passes_by_level()
        for action in arg_parser._actions:  # xDSL's 200 pass names would drown ours
            if action.dest == "passes":
                action.help = "passes to run, as 'a,b{key=value}': those listed below and all of xDSL's"
        group = arg_parser.add_argument_group("recon")
        group.add_argument("--to", choices=LEVELS, help="run the pipeline down to this level, before the passes of -p")
        group.add_argument("--machine", help="machine for the passes that ask for one: a name or a TOML file")
        group.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="another value in the machine; repeatable"
        )
        group.add_argument(
            "--assume-int8",
            action="store_true",
            default=None,
            help="quantise a float model with made-up scales, to learn what it would cost",
        )
        group.add_argument(
            "--input-shape",
            action="append",
            default=[],
            metavar="NAME=1,3,224,224",
            help="shape of a model input that the model leaves open",
        )
        for name, offer in OFFERS.items():
            normally = f" (normally {offer.normally})" if offer.normally else ""
            group.add_argument(
                offer.flag or f"--{name.replace('_', '-')}",
                dest=name,
                type=str if offer.kind is list else offer.kind,
                action="append" if offer.kind is list else "store",
                choices=offer.choices or None,
                metavar=None if offer.choices else offer.metavar,
                help=offer.help[0].lower() + offer.help[1:].removesuffix(".") + normally,
            )
        _add_validation(group)
        group.add_argument(
            "--force", action="store_true", help="write even over a file that is read, or is no text of ours"
        )
        _add_listings(group)
        group.add_argument("--debug", action="store_true", help="show the traceback of a failure")

    def parse_chunk(self, chunk: IO[bytes], file_extension: str, start_offset: int = 0) -> ModuleOp | None:
        self.first_line = 1 + start_offset
        return super().parse_chunk(chunk, file_extension, start_offset)

    def register_all_frontends(self) -> None:
        super().register_all_frontends()

        def parse_mlir(io: IO[bytes]) -> ModuleOp:
            name = self.get_input_name()
            try:
                text = io.read().decode("utf-8")
            except UnicodeDecodeError:
                raise ReconError(f"{name}: this is not a text file.") from None
            module = diagnostics.parse_module(self.ctx, text, name, not self.args.no_implicit_module, self.first_line)
            if CONSTANTS in module.attributes:
                from tools.files import constants

                constants.read(module, Path(self.args.input_file).parent if self.args.input_file else Path())
            return module

        def parse_onnx(io: IO[bytes]) -> ModuleOp:
            from passes.onnx.import_onnx import import_model

            source = self.args.input_file or io.read()
            return import_model(source, input_shapes(self.args.input_shape), self.get_input_name())

        self.available_frontends["mlir"] = parse_mlir
        self.available_frontends["onnx"] = parse_onnx

    def register_all_targets(self) -> None:
        super().register_all_targets()
        self.available_targets["mlir"] = lambda: TextTarget

    def setup_pipeline(self) -> None:
        """Build the pipeline of ``-p``; ``--machine`` and the like reach every pass that has such a field."""
        for spec in parse_pipeline(self.args.passes):
            if spec.name not in self.available_passes:
                near = difflib.get_close_matches(spec.name, self.available_passes, 1)
                hint = f"did you mean '{near[0]}'?" if near else "recon-opt --help lists the passes."
                raise ReconError(f"There is no pass '{spec.name}'; {hint}")
        _check_options(self.args.passes)
        try:
            super().setup_pipeline()
        except ValueError as error:
            raise ReconError(f"-p {self.args.passes}: {error}") from None
        passes = tuple(_with_options(one, self.shared_options) for one in self.pipeline.passes)
        self.pipeline = PassPipeline(passes, self._checked(self.pipeline.callback))

    @property
    def machine(self) -> str | None:
        """The machine that ``--machine`` and ``--set`` ask for."""
        if not self.args.set:
            return self.args.machine
        from sim.machine.description import with_settings

        return with_settings(self.args.machine or DEFAULT_MACHINE, self.args.set)

    @property
    def shared_options(self) -> dict[str, Any]:
        """Options that the command line gives to every pass with a field of that name."""
        args = self.args
        options = {"machine": self.machine, "assume_int8": args.assume_int8}
        asked = {name: getattr(args, name) for name in OFFERS if getattr(args, name) is not None}
        planned = for_passes(options_from(**asked))
        names = {*asked, "limit"} if args.sram_limit else asked.keys()
        options |= {name: planned[name] for name in names}
        return {name: value for name, value in options.items() if value is not None}

    def _checked(self, callback: Any) -> Any:
        validator = self._validator()

        def verified(before: ModulePass | None, module: ModuleOp, after: ModulePass | None) -> None:
            self._show(before, module, after)
            if not self.args.disable_verify:
                diagnostics.verify(module, before)
            if validator is not None:
                validator.between(before, module)
            with redirect_stdout(sys.stderr):  # the result alone goes to standard output
                callback(before, module, after)

        return verified

    def _show(self, before: ModulePass | None, module: ModuleOp, after: ModulePass | None) -> None:
        """The IR that ``--print-ir-before`` and ``--print-ir-after`` ask for, on standard error."""
        args = self.args
        wanted: list[str] = []
        if before is not None and (args.print_ir_after_all or before.name in args.print_ir_after):
            wanted.append(f"after {before.name}")
        if after is not None and (args.print_ir_before_all or after.name in args.print_ir_before):
            wanted.append(f"before {after.name}")
        if wanted:
            print(f"// ----- IR {' and '.join(wanted)}", file=sys.stderr)
            TextTarget().emit(self.ctx, module, sys.stderr)

    def _validator(self) -> Validator | None:
        if self.args.validate_inputs is not None and self.args.validate_inputs < 1:
            raise ReconError(f"--validate-inputs {self.args.validate_inputs}: give a whole number of at least 1.")
        if not self.args.validate_each and self.args.validate_inputs is None and self.args.against is None:
            return None
        from tools.validation.validate import DEFAULT_INPUTS, Validator

        self.validator = Validator(self.args.validate_inputs or DEFAULT_INPUTS)
        if self.args.against is not None:
            from tools.validation.against import Original

            shapes = input_shapes(self.args.input_shape)
            self.validator.original = Original.read(self.args.against, shapes, bool(self.args.assume_int8))
        return self.validator

    def prepare_input(self) -> tuple[list[tuple[IO[bytes], int]], str]:
        try:
            return super().prepare_input()
        except ValueError:
            name = self.get_input_name()
            raise ReconError(f"{name}: the name ends in neither .mlir nor .onnx; say which it is with -f.") from None

    def prepare_output(self) -> IO[str]:
        if self.args.output_file is None and self.validator is None:
            return sys.stdout
        self.output = _Output()  # kept until all of it is right
        return self.output

    def apply_passes(self, prog: ModuleOp) -> None:
        """The road of ``--to``, then the passes of ``-p``."""
        pipeline = self.pipeline
        if self.machine:
            check_planned_machine(prog, self.machine, self.get_input_name())
        if self.args.to:
            start = level_of(prog)
            if LEVELS.index(start) > LEVELS.index(self.args.to):
                raise ReconError(
                    f"{self.get_input_name()}: this is at level {start}, below {self.args.to}; the road only goes down."
                )
            road = passes_between(start, self.args.to, self.shared_options)
            pipeline = PassPipeline((*road, *pipeline.passes), pipeline.callback)
        if self.args.dump_pass_pipeline:
            print(",".join(map(str, pipeline.passes)), file=sys.stderr)
        with diagnostics.lean_diagnostics():
            try:
                pipeline.apply(self.ctx, prog)
                if self.args.to == "tile":  # below, the next pass would find what the machine cannot do
                    verify_plans(prog)
            except ReconError as error:  # so that --verify-diagnostics shows it
                raise PassFailedException(str(error)) from None

    def _check_output(self) -> None:
        if self.args.output_file is None:
            return
        from tools.files.constants import side_file
        from tools.files.overwrite import CONSTANTS as SIDE_FILE
        from tools.files.overwrite import IR, check_writable

        path, force = Path(self.args.output_file), self.args.force
        check_writable("-o", path, IR, [self.args.input_file], force)
        check_writable("-o", side_file(path), SIDE_FILE, [self.args.input_file], force)

    def output_resulting_program(self, prog: ModuleOp) -> str:
        if self.args.output_file is not None:
            from tools.files import constants

            self.constants.update(constants.attach([prog], self.args.output_file))
        return super().output_resulting_program(prog)

    def run(self) -> None:
        """Do it all; the output files appear only when everything went well."""
        self._check_output()
        super().run()
        if self.validator is not None:
            print(f"valid: {self.validator.summary()}", file=sys.stderr)
        if self.output is not None and self.args.output_file is None:
            sys.stdout.write(self.output.content)
        elif self.output is not None:
            from sim.machine.files import write_whole
            from tools.files import constants

            constants.write(self.constants, self.args.output_file)
            write_whole(self.args.output_file, self.output.content.encode())


def _add_validation(group: Any) -> None:
    """The options that run the IR and compare."""
    group.add_argument(
        "--validate-each",
        action="store_true",
        help="run the IR before and after every pass, and stop at the first that changes an answer",
    )
    group.add_argument(
        "--validate-inputs",
        type=int,
        default=None,
        metavar="N",
        help="inputs tried by --validate-each (normally 4)",
    )
    group.add_argument(
        "--against",
        metavar="MODEL",
        help="with --validate-each: compare the text with this model first, layer by layer",
    )


def _add_listings(group: Any) -> None:
    """The options that show what happens between passes."""
    for when in ("before", "after"):
        group.add_argument(
            f"--print-ir-{when}", action="append", default=[], metavar="PASS", help=f"print the IR {when} this pass"
        )
        group.add_argument(f"--print-ir-{when}-all", action="store_true", help=f"print the IR {when} every pass")
    group.add_argument(
        "--dump-pass-pipeline", action="store_true", help="print the passes with their options as -p takes them"
    )


def _with_options(one: ModulePass, options: dict[str, Any]) -> ModulePass:
    """The pass with these options where it has such a field, of such a type, and ``-p`` left it at its default."""
    given = one.spec().parameters
    fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    values = {
        name: value
        for name, value in options.items()
        if name in fields and name not in given and (fields[name] is None or isinstance(value, type(fields[name])))
    }
    return dataclasses.replace(one, **values)


def _check_options(pipeline: str) -> None:
    """ReconError for an option given twice, of which xDSL takes the last, and for a limit that leaves nothing."""
    for name, body in re.findall(r"([\w-]+)\{((?:[^{}\"]|\"[^\"]*\")*)\}", pipeline):
        given = [(key.replace("_", "-"), value) for key, value in re.findall(r'([\w-]+)=("[^"]*"|[^\s]+)', body)]
        for key, value in given:
            if [other for other, _ in given].count(key) > 1:
                raise ReconError(f"-p {name}: the option '{key}' is given twice.")
            if key in ("sram-limit", "limit") and value == "0":
                raise ReconError(f"-p {name}: {key}=0 leaves no SRAM; leave it out to take the machine's.")


def _passes_by_level() -> str:
    lines = ["passes of this compiler by level, in pipeline order (those in brackets only when asked for):"]
    for level in LEVELS:
        names = [
            entry.name if entry.default and not entry.when else f"[{entry.name}]"
            for entry in PIPELINE
            if entry.level == level
        ]
        lines += [f"  {level}: {', '.join(names)}"] if names else []
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point: runs the tool, prints ``error: …`` and exits with 1 when something is wrong."""
    arguments = list(sys.argv[1:] if args is None else args)
    gc.set_threshold(100_000, 50, 100)  # IR is many small objects that live to the end
    try:
        ReconOpt(arguments).run()
        sys.stdout.flush()
    except diagnostics.EXPECTED as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if "--debug" in arguments:
            traceback.print_exc()
        sys.exit(as_error(diagnostics.describe(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    except MemoryError:
        sys.exit("error: there is not enough memory for this.")
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        sys.exit(f"error: {diagnostics.describe_unexpected(error, 'recon-opt')}")


if __name__ == "__main__":
    main()
