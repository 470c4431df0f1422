// render.h - writes the rows of a result as a table, CSV, JSON lines or Markdown.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

enum class OutputFormat : uint8_t { kTable, kCsv, kJson, kMarkdown };

/// nullopt for an unknown name.
std::optional<OutputFormat> ParseOutputFormat(const std::string& name);

struct RenderOptions {
  OutputFormat format = OutputFormat::kTable;
  /// Cells of the terminal: tables are cut to it. 0: as wide as their values.
  size_t terminal_width = 0;
};

/// Takes one result's rows and writes them as they come. Changelogs get a leading column `op`.
///
/// Tables size their columns by the first rows (all rows, if they are few) and keep them so: memory
/// stays bounded whatever the result's size. Threads: one at a time.
class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  virtual void Write(ChangeChunk& chunk) = 0;
  /// No rows for a while: show what is held back.
  virtual void Idle() = 0;
  /// The result is complete.
  virtual void End() = 0;
};

/// Takes cells from the widest of a table's columns until they and their frame fit the terminal
/// (0: no limit) or are too narrow to give more.
void ShrinkToTerminal(size_t terminal_width, std::vector<size_t>& widths);

/// `out` must outlive the writer.
std::unique_ptr<ResultWriter> MakeResultWriter(const RenderOptions& options,
                                               const duckdb::vector<std::string>& names,
                                               const duckdb::vector<LogicalType>& types,
                                               bool changelog, std::ostream& out);

/// Numbers stand at the right of their column.
inline bool IsRightAligned(const LogicalType& type) {
  return type.IsNumeric();
}

}  // namespace millrace
