// parallel.h - work that is cut into parts, done by a few threads.
#pragma once

#include <functional>
#include <string>

namespace millrace {

/// Calls work(0) .. work(count - 1), by up to `threads` threads of which the caller's is one, and
/// returns when all have ended. After a failure no further part is begun; the first is thrown.
void RunParts(const std::string& thread_name, size_t count, size_t threads,
              const std::function<void(size_t)>& work);

}  // namespace millrace
