// change_reader.h - rows with their kinds, pulled chunk by chunk: changes of the history, the
// difference of two states, a state with its deletes.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Reads rows and their kinds.
/// Threads: one at a time. Throws: Error(kCorrupt, kNotFound) naming the file.
class ChangeReader {
 public:
  virtual ~ChangeReader() = default;
  /// Fills `chunk` (initialised with the types of the wanted columns); its vectors may refer to the
  /// reader until the next call. False at the end.
  virtual bool Next(ChangeChunk& chunk) = 0;
};

/// The rows of delta or changelog files, in the order of the files, each with the kind it was
/// written with.
std::unique_ptr<ChangeReader> MakeFileChangeReader(const TableState& table, const Split& split,
                                                   const std::vector<idx_t>& columns);

/// The merged rows of a split; of a primary-key table those too whose last change deleted them and
/// whose files still say so (-D).
std::unique_ptr<ChangeReader> MakeStateChangeReader(const TableState& table, const Split& split,
                                                    const std::vector<idx_t>& columns);

/// What is in `after` and not in `before`, two states of one bucket of a primary-key table: rows
/// with a new key or another value as +I, and with `keep_deletes` rows whose key has gone as -D.
/// Costs reading both whole.
std::unique_ptr<ChangeReader> MakeDiffReader(const TableState& table, const Split& before,
                                             const Split& after, const std::vector<idx_t>& columns,
                                             bool keep_deletes);

}  // namespace millrace
