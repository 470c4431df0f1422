// csv.h - comma separated values (RFC 4180), with Flink's options.
//
// A quoted field may hold delimiters, doubled quotes and line ends. An unquoted field equal to
// `csv.null-literal` is NULL; an empty one is NULL too unless its column is a string.
#pragma once

#include "format/codec/codec.h"

namespace millrace {

struct CsvRules {
  char delimiter = ',';
  char quote = '"';    // '\0': quotes mean nothing.
  char escape = '\0';  // '\0': none.
  std::string element_delimiter = ";";
  std::optional<std::string> null_literal;
  bool ignore_errors = false;
  bool comments = false;
  bool skip_first = false;
};

/// Throws: Error(kInvalid) naming the option.
CsvRules ReadCsvRules(const Options& options);
/// Throws: Error(kUnsupported) for types that a CSV field cannot carry.
void CheckCsvType(const DataField& field);
std::vector<FormatOption> CsvOptions();
std::unique_ptr<Decoder> MakeCsvDecoder(RecordFormat record, const Options& options);
std::unique_ptr<Encoder> MakeCsvEncoder(std::vector<DataField> fields, const Options& options);

}  // namespace millrace
