#include "app/statement_runner.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/display_width.h"
#include "app/live_table.h"
#include "app/text_column.h"

namespace millrace {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int64_t kRedrawMs = 200;

// Line `number` (from 1) of `script`, without its end.
std::string_view LineOf(std::string_view script, int number) {
  for (; number > 1; number--) {
    size_t end = script.find('\n');
    if (end == std::string_view::npos) return {};
    script.remove_prefix(end + 1);
  }
  return script.substr(0, script.find('\n'));
}

// Takes "line L, column C[,:] " off the front of `text`.
std::optional<SourcePosition> TakePosition(std::string& text) {
  SourcePosition position;
  int length = 0;
  if (sscanf(text.c_str(), "line %d, column %d%n", &position.line, &position.column, &length) !=
          2 ||
      length == 0) {
    return std::nullopt;
  }
  size_t rest = text.find_first_not_of(",: ", length);
  text.erase(0, rest == std::string::npos ? text.size() : rest);
  return position;
}

// DuckDB ends its texts with "\n\nLINE 2: ...the line...\n   ^". Takes that off and gives the place
// of the word under its caret in `script`: the statement has been rewritten, but lines and words
// stay.
std::optional<SourcePosition> TakeEngineLine(std::string& text, std::string_view script,
                                             SourcePosition statement) {
  size_t mark = text.find("\n\nLINE ");
  if (mark == std::string::npos) return std::nullopt;
  std::string tail = text.substr(mark + 2);
  text.erase(mark);
  int number = 0, prefix = 0;
  size_t line_end = tail.find('\n');
  if (sscanf(tail.c_str(), "LINE %d: %n", &number, &prefix) != 1 || prefix == 0 ||
      line_end == std::string::npos) {
    return std::nullopt;
  }
  size_t caret = tail.find('^', line_end);
  if (caret == std::string::npos) return std::nullopt;
  caret -= line_end + 1;
  if (caret >= line_end) return std::nullopt;
  size_t end = caret;
  while (end < line_end && (isalnum(static_cast<unsigned char>(tail[end])) || tail[end] == '_')) {
    end++;
  }
  std::string_view word = std::string_view(tail).substr(caret, end - caret);
  SourcePosition place{statement.line + number - 1, 1};
  std::string_view line = LineOf(script, place.line);
  size_t first = number == 1 ? statement.column - 1 : 0;
  size_t at = word.empty() ? std::string_view::npos : line.find(word, std::min(first, line.size()));
  if (at == std::string_view::npos) return std::nullopt;
  for (size_t i = 0; i < at; i++) place.column += (line[i] & 0xC0) != 0x80;
  return place;
}

// DuckDB lists every function of the name that it did not find; a few say what it wanted.
void ShortenCandidates(std::string& text) {
  constexpr int kShown = 6;
  size_t at = text.find("\tCandidate functions:");
  for (int line = 0; at != std::string::npos && line <= kShown; line++)
    at = text.find('\n', at + 1);
  if (at == std::string::npos || text.find("\n\t", at) != at) return;
  size_t end = at;
  while (end != std::string::npos && text.compare(end, 2, "\n\t") == 0)
    end = text.find('\n', end + 1);
  text.replace(at, (end == std::string::npos ? text.size() : end) - at, "\n\t...");
}

}  // namespace

std::string DescribeError(const Error& error, const std::string& name, std::string_view script,
                          SourcePosition statement) {
  std::string message = error.text();
  std::optional<SourcePosition> named = TakePosition(message);
  std::optional<SourcePosition> engine = TakeEngineLine(message, script, statement);
  ShortenCandidates(message);
  SourcePosition place = named.value_or(engine.value_or(statement));
  std::string text = fmt::format("{}:{}:{}: {}\n", name, place.line, place.column, message);
  std::string_view line = LineOf(script, place.line);
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return text;
  text.append("  ").append(line);
  if (text.back() == '\r') text.pop_back();
  text += "\n  ";
  // Tabs stay tabs so that the caret stands under its character; columns count characters.
  size_t at = 0;
  for (int column = 1; column < place.column && at < line.size(); column++) {
    size_t begin = at++;
    while (at < line.size() && (line[at] & 0xC0) == 0x80) at++;
    if (line[begin] == '\t') {
      text += '\t';
    } else {
      text.append(DisplayWidth(line.substr(begin, at - begin)), ' ');
    }
  }
  return text + "^\n";
}

StatementRunner::StatementRunner(Session& session, Output& output, ProgressLine& progress,
                                 RunnerOptions options)
    : session_(session), output_(output), progress_(progress), options_(options) {}

bool StatementRunner::RunScript(const std::string& name, std::string_view script) {
  for (const StatementText& statement : SplitScript(script)) {
    if (interrupted_) return false;
    try {
      RunStatement(statement);
    } catch (const std::exception& exception) {
      Error error = ErrorFrom(exception);
      if (error.code() == ErrorCode::kCancelled && interrupted_) return false;
      session_.FailScript(error);
      progress_.Hide();
      std::string text = DescribeError(error, name, script, statement.position);
      std::cerr.write(text.data(), static_cast<std::streamsize>(text.size()));
      return false;
    }
  }
  return true;
}

void StatementRunner::RunStatement(const StatementText& statement) {
  auto start = SteadyClock::now();
  StatementResult result;
  std::optional<idx_t> count;
  {
    ProgressLine::Showing showing(progress_);
    result = session_.Execute(statement);
    if (result.rows) count = ShowResult(result);
  }
  if (!options_.interactive) {
    bool quiet = options_.format == OutputFormat::kCsv || options_.format == OutputFormat::kJson;
    if (!quiet && !result.message.empty()) output_.stream() << result.message + "\n";
    return;
  }
  double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  std::string text = result.message;
  if (count) {
    text =
        *count == 0 ? "Empty set" : fmt::format("{} row{} in set", *count, *count > 1 ? "s" : "");
  } else if (text.empty()) {
    text = result.kind == ResultKind::kJob ? "Job " + result.job + " submitted" : "Done";
  }
  output_.stream() << fmt::format("{} ({:.3f} s)\n\n", text, seconds);
}

std::optional<idx_t> StatementRunner::ShowResult(StatementResult& result) {
  bool quiet = options_.format == OutputFormat::kCsv || options_.format == OutputFormat::kJson;
  if (result.kind != ResultKind::kQuery && quiet) return std::nullopt;
  ResultStream& rows = *result.rows;
  if (result.kind == ResultKind::kQuery && rows.IsChangelog() && options_.interactive &&
      options_.format == OutputFormat::kTable && isatty(STDOUT_FILENO) &&
      session_.Setting("sql-client.execution.result-mode") == "table") {
    return ShowLive(rows);
  }
  bool may_be_text = result.kind == ResultKind::kRows && rows.Types().size() == 1 &&
                     rows.Types()[0].id() == LogicalTypeId::VARCHAR;
  return ShowRows(rows, may_be_text);
}

namespace {

// Plans and CREATE TABLE texts have lines of their own: a frame around them would only hurt.
bool PrintAsText(ChangeChunk& chunk, std::ostream& out) {
  TextColumn texts;
  RenderColumn(chunk.rows.data[0], chunk.size(), TextStyle::kPlain, texts);
  if (texts.bytes.find('\n') == std::string::npos) return false;
  std::string lines;
  for (idx_t row = 0; row < chunk.size(); row++) {
    lines += texts.At(row);
    if (lines.back() != '\n') lines += '\n';
  }
  out << lines;
  return true;
}

}  // namespace

idx_t StatementRunner::ShowRows(ResultStream& rows, bool may_be_text) {
  RenderOptions render{.format = options_.format, .terminal_width = TerminalWidth(STDOUT_FILENO)};
  auto writer =
      MakeResultWriter(render, rows.Names(), rows.Types(), rows.IsChangelog(), output_.stream());
  ChangeChunk chunk;
  chunk.Initialize(rows.Types());
  idx_t count = 0;
  int64_t wait_ms = 0;
  try {
    for (;;) {
      chunk.Reset();
      FetchStatus status = rows.Fetch(chunk, wait_ms);
      if (status == FetchStatus::kEnd) break;
      if (status == FetchStatus::kNothing) {
        writer->Idle();
        wait_ms = -1;
        continue;
      }
      wait_ms = 0;
      bool first = count == 0;
      count += chunk.size();
      if (first && may_be_text && PrintAsText(chunk, output_.stream())) return count;
      writer->Write(chunk);
    }
  } catch (...) {
    if (count > 0) writer->End();  // What came before the error or Ctrl-C is shown whole.
    throw;
  }
  if (count > 0 || !options_.interactive) writer->End();
  return count;
}

idx_t StatementRunner::ShowLive(ResultStream& rows) {
  LiveTable table(rows.Names(), rows.Types(), output_.stream());
  ChangeChunk chunk;
  chunk.Initialize(rows.Types());
  auto draw = [&](size_t height) { table.Draw(TerminalWidth(STDOUT_FILENO), height); };
  auto drawn = SteadyClock::time_point();
  bool changed = true;
  try {
    for (;;) {
      chunk.Reset();
      FetchStatus status = rows.Fetch(chunk, kRedrawMs);
      if (status == FetchStatus::kEnd) break;
      if (status == FetchStatus::kRows) {
        table.Apply(chunk);
        changed = true;
      }
      auto now = SteadyClock::now();
      if (changed && (status == FetchStatus::kNothing ||
                      now - drawn >= std::chrono::milliseconds(kRedrawMs))) {
        draw(TerminalHeight(STDOUT_FILENO));
        drawn = now;
        changed = false;
      }
    }
  } catch (...) {
    draw(TerminalHeight(STDOUT_FILENO));
    throw;
  }
  draw(0);
  return table.RowCount();
}

bool StatementRunner::WaitForJobs() {
  try {
    ProgressLine::Showing showing(progress_);
    session_.WaitForJobs();
    return true;
  } catch (const std::exception& exception) {
    Error error = ErrorFrom(exception);
    if (error.code() == ErrorCode::kCancelled && interrupted_) return false;
    progress_.Hide();
    std::cerr << error.text() + "\n";
    return false;
  }
}

void StatementRunner::Interrupt() {
  interrupted_ = true;
  session_.Cancel();
  if (!options_.interactive) session_.CancelJobs();
}

}  // namespace millrace
