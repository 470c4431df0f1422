// engine_words.h - DuckDB's messages in the words of the dialect that the user wrote.
#pragma once

#include <string>

namespace millrace {

/// Names of types as Flink has them, one sentence with a suggestion instead of lists of candidates.
/// Text that says nothing of the kind is handed back; DuckDB's excerpt ("\n\nLINE 1: ...") stays.
std::string InFlinkWords(const std::string& message);

}  // namespace millrace
