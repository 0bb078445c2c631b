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
from collections.abc import Callable, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline, PassPipelineCallbackType
from xdsl.utils.arg_spec import parse_pipeline
from xdsl.utils.exceptions import DiagnosticException, PassFailedException
from xdsl.xdsl_opt_main import xDSLOptMain

from passes.common.levels import LEVELS, level_of
from passes.every_level.verify_structure import verify_plans
from passes.pipeline import passes_between
from passes.planner.options import OFFERS, options_from
from sim.machine.errors import ReconError
from sim.machine.files import check_regular
from tools import CONSTANTS, DEFAULT_MACHINE, VERSION
from tools.instruments import Instruments
from tools.options import check_planned_machine, for_passes, input_shapes
from tools.terminal import completion, diagnostics
from tools.terminal.errors import as_error
from tools.terminal.opt_options import add_options, passes_by_level
from tools.terminal.text_target import TextTarget

if TYPE_CHECKING:
    from tools.validation.validate import Validator

PassError = TypeVar("PassError", bound=Exception)

_PLACE = re.compile(r"^[^\n]+?:\d+:\d+: ")

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
        self.again: Callable[[], ModuleOp | None] | None = None
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
        arg_parser.epilog = passes_by_level()
        for action in arg_parser._actions:  # xDSL's 200 pass names would drown ours
            if action.dest == "passes":
                action.help = "passes to run, as 'a,b{key=value}': those listed below and all of xDSL's"
        add_options(arg_parser)
        completion.add_completion(arg_parser, self.available_passes)

    def get_input_stream(self) -> tuple[IO[bytes], str]:
        if self.args.input_file is not None:
            check_regular(Path(self.args.input_file))
        return super().get_input_stream()

    def parse_chunk(self, chunk: IO[bytes], file_extension: str, start_offset: int = 0) -> ModuleOp | None:
        content = b"" if file_extension == "onnx" and self.args.input_file else chunk.read()

        def read() -> ModuleOp | None:
            self.first_line = 1 + start_offset
            return super(ReconOpt, self).parse_chunk(BytesIO(content), file_extension, start_offset)

        self.again = read
        return read()

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
        self.instruments = Instruments(self.args, self.ctx)
        if self.args.run_reproducer:
            self.args.passes = self._reproduced()
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
        self.pipeline = PassPipeline(passes, self._checked())

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

    def _reproduced(self) -> str:
        """The passes of the reproducer that is given as the input."""
        if self.args.passes or self.args.to:
            raise ReconError("--run-reproducer: the passes stand in the file; leave -p and --to out.")
        if self.args.input_file in (None, "-"):
            raise ReconError("--run-reproducer: give the reproducer's file.")
        from tools.reproducer import pipeline_in

        return pipeline_in(self.args.input_file)

    def _checked(self) -> PassPipelineCallbackType:
        """What happens between two passes: listings, verification, validation."""
        validator = self._validator()

        def between(before: ModulePass | None, module: ModuleOp, after: ModulePass | None) -> None:
            self.instruments.between(before, module, after)
            if not self.args.disable_verify:
                try:
                    diagnostics.verify(module, before)
                except DiagnosticException as error:
                    if before is not None:
                        error.add_note(f"  behind the pass {before.name}")
                    raise
            if validator is not None:
                validator.between(before, module)
            self.instruments.begin(after)

        return between

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
        self.instruments.start()
        with diagnostics.lean_diagnostics(), self.instruments.counting():
            try:
                pipeline.apply(self.ctx, prog)
                if self.args.to == "tile":  # below, the next pass would find what the machine cannot do
                    verify_plans(prog)
            except ReconError as error:  # so that --verify-diagnostics shows it
                raise self._of_pass(PassFailedException(str(error))) from None
            except DiagnosticException as error:
                raise self._of_pass(error) from None
            except (OSError, MemoryError):
                raise
            except Exception as error:
                self._reproduce(self._of_pass(error))
                raise
            finally:
                self.instruments.finish()

    def _of_pass(self, error: PassError) -> PassError:
        """The error with the pass in which it arose, unless it names it already."""
        running = self.instruments.running
        if running is not None and not _PLACE.sub("", str(error)).startswith(running.name):
            error.add_note(f"  in the pass {running.name}")
        return error

    def _reproduce(self, error: Exception) -> None:
        """Write the module as it was read and the passes up to this failure of our own; the error says where."""
        from tools.reproducer import note_reproducer

        def read() -> ModuleOp:
            module = self.again() if self.again is not None else None
            return module if module is not None else ModuleOp([])

        note_reproducer(error, read, self.instruments.begun, self.args.reproducer)

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
