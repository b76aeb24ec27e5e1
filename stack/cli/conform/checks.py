"""
Every check by its name, and what it comes from: a section of the protocol's text, of the binary extension's, an RFC.

The protocol is inference_rest.md of kserve/open-inference-protocol, read at commit d49cc23, with its OpenAPI document
beside it: where the two differ a server may follow either. What neither speaks of is not demanded; a server must then
only answer soundly or refuse, as HTTP has it: by 4xx what is the client's fault, and never not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stack.cli.conform import binary, choosing, inferring, knowing, manners, refusing
from stack.cli.conform.subject import Subject
from stack.cli.conform.wanted import CLIENT_FAULT, ERROR, METADATA_ERROR

REQUEST = "Inference Request JSON Object"
INPUT, OUTPUT = "Request Input", "Response Output"
DATA = "Tensor Data"
BINARY = "Triton's binary tensor data extension"


@dataclass(frozen=True)
class ProtocolCheck:
    """What is looked at; ``does`` tells what was got, or raises Deviation or NotOffered."""

    name: str
    source: str
    does: Callable[[Subject], str]


CHECKS = (
    ProtocolCheck("live", "Server Live", knowing.live),
    ProtocolCheck("ready", "Server Ready", knowing.ready),
    ProtocolCheck("server metadata", "Server Metadata Response JSON Object", knowing.server_metadata),
    ProtocolCheck("model metadata", "Model Metadata Response JSON Object", knowing.model_metadata),
    ProtocolCheck("platform as <project>_<format>", "Platforms", knowing.platform),
    ProtocolCheck("model ready", "Model Ready", knowing.model_ready),
    ProtocolCheck("paths with a version", "HTTP/REST; Model Metadata: versions", knowing.version_paths),
    ProtocolCheck("unknown version", METADATA_ERROR, knowing.unknown_version),
    ProtocolCheck("unknown model", METADATA_ERROR, knowing.unknown_model),
    ProtocolCheck("unknown model is not ready", "Model Ready", knowing.unknown_model_ready),
    ProtocolCheck("infer: shapes and data agree", OUTPUT, inferring.infer),
    ProtocolCheck("model_name", "Inference Response JSON Object", inferring.model_name),
    ProtocolCheck("the id comes back", REQUEST, inferring.id_comes_back),
    ProtocolCheck("infer without an id", REQUEST, inferring.without_id),
    ProtocolCheck("outputs are those of the metadata", REQUEST, inferring.outputs_of_the_metadata),
    ProtocolCheck("a requested output", "Request Output", inferring.requested_output),
    ProtocolCheck("several rows", INPUT, inferring.several_rows),
    ProtocolCheck("100 rows", INPUT, inferring.many_rows),
    ProtocolCheck("flat and nested data", DATA, inferring.flat_and_nested),
    ProtocolCheck("columns as [n, 1]", CLIENT_FAULT, choosing.one_more_dimension),
    ProtocolCheck("text of any alphabet", DATA, choosing.text_in_bytes),
    ProtocolCheck("parameters of others", "Parameters", choosing.parameters),
    ProtocolCheck("text among numbers", DATA, choosing.text_among_numbers),
    ProtocolCheck("no rows", CLIENT_FAULT, choosing.no_rows),
    ProtocolCheck("without an input", CLIENT_FAULT, choosing.without_an_input),
    ProtocolCheck("unknown input", CLIENT_FAULT, choosing.unknown_input),
    ProtocolCheck("16 infers at once keep their ids", REQUEST, inferring.ids_at_once),
    ProtocolCheck("malformed JSON", ERROR, refusing.malformed_json),
    ProtocolCheck("JSON that is no object", ERROR, refusing.no_object),
    ProtocolCheck("no body", ERROR, refusing.no_body),
    ProtocolCheck("deeply nested JSON", ERROR, refusing.deep_json),
    ProtocolCheck("no inputs", ERROR, refusing.no_inputs),
    ProtocolCheck("no shape", ERROR, refusing.no_shape),
    ProtocolCheck("negative shape", INPUT, refusing.negative_shape),
    ProtocolCheck("fewer elements than the shape says", DATA, refusing.too_few_elements),
    ProtocolCheck("more elements than the shape says", DATA, refusing.too_many_elements),
    ProtocolCheck("unknown datatype", "Tensor Data Types", refusing.unknown_datatype),
    ProtocolCheck("unknown output", "Request Output", refusing.unknown_output),
    ProtocolCheck("Content-Type of answers", "Inference Request Examples", manners.types_of_answers),
    ProtocolCheck("GET on infer", "RFC 9110, 15.5.6", manners.get_on_infer),
    ProtocolCheck("HEAD on infer", "RFC 9110, 15.5.6", manners.head_on_infer),
    ProtocolCheck("unknown path", "RFC 9110, 15.5.5", manners.unknown_path),
    ProtocolCheck("body of 8 MiB", "RFC 9110, 15.5.14", manners.large_body),
    ProtocolCheck("chunked body", "RFC 9112, 7.1", manners.chunked_body),
    ProtocolCheck("connection after an error", "RFC 9112, 9.3", manners.connection_after_an_error),
    ProtocolCheck("binary inputs", BINARY, binary.binary_inputs),
    ProtocolCheck("binary outputs", BINARY, binary.binary_outputs),
    ProtocolCheck("binary data of a wrong size", BINARY, binary.binary_wrong_size),
    ProtocolCheck("binary data behind a wrong length", BINARY, binary.binary_wrong_length),
)
