// merge_function.h - what becomes of the rows of one key: the merge engines.
//
// Rows arrive sorted by (key, user sequence, sequence number). An engine chooses, per key, the row
// that stands for it; engines that compute new values will override Combine of the same batches.
#pragma once

#include "lsm/key_value.h"

namespace millrace {

enum class MergeEngine : uint8_t { kDeduplicate, kFirstRow };

/// Consecutive groups of equal keys: group i is rows [starts[i], starts[i + 1]).
struct KeyGroups {
  const uint32_t* starts;
  idx_t count;
};

/// Chooses rows for whole batches of groups; one virtual call per batch.
/// Threads: safe (no state).
class MergeFunction {
 public:
  virtual ~MergeFunction() = default;
  /// winners[i] = position of the row that stands for group i.
  virtual void Choose(const KeyGroups& groups, uint32_t* winners) const = 0;
};

/// The engine itself lives forever.
const MergeFunction& MergeFunctionOf(MergeEngine engine);

}  // namespace millrace
