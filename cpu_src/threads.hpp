// Threads that wait for work: each piece is done by all of them at once, the caller among them.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pcnn_cpu {

class Threads {
  public:
    explicit Threads(int count) : count(count), process(getpid()) {
        for (int part = 1; part < count; ++part) workers.emplace_back([this, part] { wait_for_work(part); });
    }
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

    // `work(part)` for each part, all at once; back when all are done.
    void run(const std::function<void(int)> &work) {
        {
            std::lock_guard<std::mutex> guard(lock);
            current = &work;
            pending = count - 1;
            ++piece;
        }
        begun.notify_all();
        work(0);
        std::unique_lock<std::mutex> guard(lock);
        done.wait(guard, [this] { return pending == 0; });
    }

  private:
    void wait_for_work(int part) {
        unsigned seen = 0;
        for (;;) {
            const std::function<void(int)> *work;
            {
                std::unique_lock<std::mutex> guard(lock);
                begun.wait(guard, [&] { return ending || piece != seen; });
                if (ending) return;
                seen = piece;
                work = current;
            }
            (*work)(part);
            std::lock_guard<std::mutex> guard(lock);
            if (--pending == 0) done.notify_one();
        }
    }

    const int count;
    const pid_t process;
    std::vector<std::thread> workers;
    std::mutex lock;
    std::condition_variable begun, done;
    const std::function<void(int)> *current = nullptr;
    unsigned piece = 0;
    int pending = 0;
    bool ending = false;
};

// Where threads wait for each other between two layers.
class Barrier {
  public:
    explicit Barrier(int count) : count(count), waiting(0), turn(0) {}
    void wait() {
        const unsigned mine = turn.load(std::memory_order_acquire);
        if (waiting.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
            waiting.store(0, std::memory_order_relaxed);
            turn.store(mine + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; turn.load(std::memory_order_acquire) == mine; ++spins)
            if (spins > 200) std::this_thread::yield();
    }

  private:
    const int count;
    std::atomic<int> waiting;
    std::atomic<unsigned> turn;
};

}  // namespace pcnn_cpu
