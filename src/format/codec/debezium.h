// debezium.h - Debezium's change events as JSON: before, after, op; with or without the schema
// envelope.
//
// c and r are +I of `after`, d is -D of `before`, u is -U of `before` then +U of `after`. A
// tombstone (no value) says nothing new and is passed over.
#pragma once

#include "format/codec/codec.h"

namespace millrace {

std::vector<FormatOption> DebeziumOptions();
std::unique_ptr<Decoder> MakeDebeziumDecoder(RecordFormat record, const Options& options);
/// Writes {"before":..,"after":..,"op":"c"|"d"} as Flink does: -U as a delete, +U as a create.
std::unique_ptr<Encoder> MakeDebeziumEncoder(std::vector<DataField> fields, const Options& options);

}  // namespace millrace
