#include "table/read_ahead.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "io/executor.h"

namespace millrace {

namespace {

constexpr size_t kWaitingChunksMax = 64;

/// What `source` holds, independent of its reader. Texts are shared: their bytes are counted.
void CopyVector(Vector& source, Vector& target, idx_t count) {
  if (source.GetType().InternalType() != duckdb::PhysicalType::VARCHAR ||
      source.GetVectorType() != duckdb::VectorType::FLAT_VECTOR) {
    duckdb::VectorOperations::Copy(source, target, count, 0, 0);
    return;
  }
  std::memcpy(duckdb::FlatVector::GetData(target), duckdb::FlatVector::GetData(source),
              count * sizeof(string_t));
  duckdb::FlatVector::Validity(target).Copy(duckdb::FlatVector::Validity(source), count);
  duckdb::StringVector::AddHeapReference(target, source);
}

class Reading {
 public:
  Reading(size_t count, const std::function<ChangePull(size_t)>& open,
          const ReadAheadOptions& options)
      : open_(open), options_(options), slots_(count) {
    for (size_t i = 0; i < std::min(options.threads, count); i++) {
      tasks_.push_back(executor_->Start("read ahead", [this] { Work(); }));
    }
  }

  ~Reading() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    for (auto& task : tasks_) task->Join();
  }

  void HandOver(const ChangeReceiver& receive) {
    for (Slot& slot : slots_) {
      while (std::unique_ptr<ChangeChunk> chunk = Take(slot)) receive(*chunk);
    }
  }

 private:
  struct Slot {  // One reader.
    std::deque<std::unique_ptr<ChangeChunk>> waiting;
    bool ended = false;
    std::exception_ptr error;
  };

  std::unique_ptr<ChangeChunk> Take(Slot& slot) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return slot.ended || !slot.waiting.empty(); });
    if (slot.waiting.empty()) {
      if (slot.error) std::rethrow_exception(slot.error);
      return nullptr;
    }
    std::unique_ptr<ChangeChunk> chunk = std::move(slot.waiting.front());
    slot.waiting.pop_front();
    if (slot.waiting.size() + 1 == kWaitingChunksMax) changed_.notify_all();
    return chunk;
  }

  void Work() {
    for (;;) {
      Slot* slot = nullptr;
      size_t number = 0;
      {
        std::lock_guard lock(mutex_);
        if (stopping_ || next_ == slots_.size()) return;
        number = next_++;
        slot = &slots_[number];
      }
      std::exception_ptr error;
      try {
        Fill(*slot, number);
      } catch (...) {
        error = std::current_exception();
      }
      std::lock_guard lock(mutex_);
      slot->error = error;
      slot->ended = true;
      changed_.notify_all();
    }
  }

  void Fill(Slot& slot, size_t number) {
    ChangePull pull = open_(number);
    ChangeChunk chunk;
    chunk.Initialize(options_.types);
    for (chunk.Reset(); pull(chunk); chunk.Reset()) {
      auto copy = std::make_unique<ChangeChunk>();
      copy->Initialize(options_.types);
      for (idx_t i = 0; i < options_.types.size(); i++) {
        CopyVector(chunk.rows.data[i], copy->rows.data[i], chunk.size());
      }
      copy->rows.SetCardinality(chunk.size());
      copy->kinds = chunk.kinds;
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || slot.waiting.size() < kWaitingChunksMax; });
      if (stopping_) return;
      slot.waiting.push_back(std::move(copy));
      if (slot.waiting.size() == 1) changed_.notify_all();
    }
  }

  const std::function<ChangePull(size_t)>& open_;
  const ReadAheadOptions& options_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t next_ = 0;
  bool stopping_ = false;
  std::unique_ptr<Executor> executor_ = MakeThreadExecutor();
  std::vector<std::unique_ptr<Task>> tasks_;  // The last: they use the rest.
};

}  // namespace

void ReadAhead(size_t count, const std::function<ChangePull(size_t)>& open,
               const ReadAheadOptions& options, const ChangeReceiver& receive) {
  if (options.threads > 0) {
    Reading(count, open, options).HandOver(receive);
    return;
  }
  ChangeChunk chunk;
  chunk.Initialize(options.types);
  for (size_t i = 0; i < count; i++) {
    ChangePull pull = open(i);
    for (chunk.Reset(); pull(chunk); chunk.Reset()) receive(chunk);
  }
}

}  // namespace millrace
