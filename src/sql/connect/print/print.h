// print.h - the `print` and `blackhole` connectors: changes as lines of text, or nowhere.
//
// A line is Flink's: "+I[1, abc]", NULL as "null", times in ISO form. Printed output is at least
// once: with 'print.with-step' = 'true' each line starts with its step, by which repeats are told.
#pragma once

#include "stream/connector.h"

namespace millrace {

void RegisterPrintConnector(ConnectorRegistry& registry);
void RegisterBlackholeConnector(ConnectorRegistry& registry);

/// Appends the rows of `chunk` as Flink's Row.toString() has them, one a line, each after `prefix`;
/// `starts` gets where each begins.
void AppendRowLines(ChangeChunk& chunk, const std::string& prefix, std::string& out,
                    std::vector<size_t>* starts = nullptr);

}  // namespace millrace
