// Threads that help the caller: it begins at once, and waits for none that has not begun. So one that wakes late, as
// its processor has something else to do, costs nothing but its help.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace pcnn_cpu {

class Threads {
  public:
    // It must not throw.
    typedef std::function<void(int part, int thread)> Work;

    Threads() : process(getpid()), left(0), finished(0), staying(false) {}
    Threads(const Threads &) = delete;
    Threads &operator=(const Threads &) = delete;
    ~Threads() {
        {
            std::lock_guard<std::mutex> guard(lock);
            ending = true;
        }
        begun.notify_all();
        for (auto &worker : workers) worker.join();
    }
    // Whether they are this process's: a forked child has none of them.
    bool here() const { return process == getpid(); }

    // At least `count` with the caller, which is thread 0, if there are so many to be had; how many there are.
    int need(int count) {
        workers.reserve(count);
        try {
            while (static_cast<int>(workers.size()) + 1 < count) {
                const int thread = static_cast<int>(workers.size()) + 1;
                workers.emplace_back([this, thread] { help(thread); });
            }
        } catch (const std::system_error &) {
        }
        return static_cast<int>(workers.size()) + 1;
    }

    // `work` for every part from 0 to `parts`, each by the thread that is free first, of `helpers` besides the caller;
    // back when all are done.
    void share(int parts, int helpers, const Work &work) {
        offer(parts, work);
        wake(helpers);
        finish(parts);
        wake(0);
    }

    // `calls` gets what does the same many times, with `helpers` that stay awake in between.
    template <class Calls>
    void together(int helpers, const Calls &calls) {
        staying.store(true, std::memory_order_release);
        wake(helpers);
        calls([this](int parts, const Work &work) {
            offer(parts, work);
            finish(parts);
        });
        staying.store(false, std::memory_order_release);
        wake(0);
    }

  private:
    void offer(int parts, const Work &work) {
        current = &work;
        finished.store(0, std::memory_order_relaxed);
        left.store(parts, std::memory_order_release);
    }

    void finish(int parts) {
        while (take(0)) {
        }
        for (int spins = 0; finished.load(std::memory_order_acquire) != parts;) pause(spins);
    }

    // Does one part if any is left; the last is the first to go. As long as somebody has a part, the caller stays in
    // `finish`, so that `current` is that of the part.
    bool take(int thread) {
        int count = left.load(std::memory_order_relaxed);
        do {
            if (!count) return false;
        } while (!left.compare_exchange_weak(count, count - 1, std::memory_order_acquire, std::memory_order_relaxed));
        (*current)(count - 1, thread);
        finished.fetch_add(1, std::memory_order_release);
        return true;
    }

    // For a moment; after some of them, as long as others want the processor.
    static void pause(int &spins) {
        if (spins >= 200) {
            std::this_thread::yield();
            return;
        }
        ++spins;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }

    // So many are to wake and help, instead of those that were to and have not yet.
    void wake(int count) {
        count = std::min(count, static_cast<int>(workers.size()));
        {
            std::lock_guard<std::mutex> guard(lock);
            wanted = count;
        }
        for (int i = 0; i < count; ++i) begun.notify_one();
    }

    void help(int thread) {
        for (;;) {
            {
                std::unique_lock<std::mutex> guard(lock);
                begun.wait(guard, [this] { return ending || wanted; });
                if (ending) return;
                --wanted;
            }
            int spins = 0;
            do {
                while (take(thread)) spins = 0;
                pause(spins);
            } while (staying.load(std::memory_order_acquire));
        }
    }

    const pid_t process;
    std::vector<std::thread> workers;
    std::mutex lock;
    std::condition_variable begun;
    int wanted = 0;
    bool ending = false;
    const Work *current = nullptr;
    std::atomic<int> left, finished;  // parts of the current work
    std::atomic<bool> staying;
};

}  // namespace pcnn_cpu
