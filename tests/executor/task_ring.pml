/*
 * A model of the process pool's protocol around the task ring, in Promela, the language
 * of spin(1). spin tries every order in which the processes can take their steps. It
 * reports an order in which an assertion fails, or in which a process waits for ever.
 *
 *      worker (two)   claims and runs tasks    task_ring.c, process_worker.c
 *      user           submits, cancels, waits  future.c, executor.c
 *      manager        the parent's own thread  process_pool.c, worker_handle.c
 *      environment    kills workers and the fork server at any step
 *
 * The comment in front of each part names the C function that it models. `atomic` and
 * `d_step` make one step of what is one atomic operation in C, or several whose order
 * makes no difference to the other processes. This is verified:
 *
 *      - every future ends, and ends once;
 *      - no task runs twice, and none runs that has been cancelled;
 *      - a result that has been sent reaches the future of its own task;
 *      - a slot is released once, and only if a worker owned it;
 *      - every process comes to its end: nobody sleeps while there is something to do.
 *
 * Left out are the initializer, long arguments, and tasks that write into their worker's
 * socket. tests/executor/model.bats runs spin. It also makes each of the mistakes below
 * (-DMISTAKE=...), and spin has to find every one.
 */
#define SLOTS 2
#define WORKERS 2
#define NONE 15 /* no slot, no task */

/* How often each thing happens, at most. The number of states grows fast with these. */
#ifndef TASKS
#define TASKS 3
#define ROOM 2           /* for tasks in the ring; others wait in the queue */
#define CANCELS 0
#define KILLS 0          /* of workers */
#define START_FAILURES 0 /* 1: a worker that was killed may not be started again */
#define EXPIRIES 0       /* of tasks whose time is up */
#define SERVER_DEATHS 0  /* 1: the fork server may die */
#endif

mtype:mistake = {
    none, publish_in_a_busy_slot, publish_after_waking, withdraw_without_compare,
    claim_without_compare, first_moves_without_compare, sleep_without_second_look,
    sleep_counts_after_the_look, sleep_without_compare, end_wakes_nobody,
    complete_without_compare, expire_without_compare, cancel_does_not_dispatch,
    manager_does_not_dispatch, close_does_not_wake_the_manager, reap_settles_one_slot,
    reap_settles_before_it_reads, reap_wakes_nobody, fork_server_died_reaps_first,
    end_asks_the_ring_first
}
#ifndef MISTAKE
#define MISTAKE none
#endif
#define WRONG(mistake) (MISTAKE == mistake)

/* ---- What the processes share ---- */

mtype:phase = { FREE, READY, CLAIMED, DONE, EXPIRED }

/* A slot. Phase, turn and owner are one atomic word in C. */
typedef slot_type {
    mtype:phase phase = FREE;
    byte turn;
    byte owner; /* a worker */
    byte task = NONE
}

/* The task ring. */
slot_type slots[SLOTS];
byte first, end; /* turns */
byte sleepers;
bool is_ended;

/* The kernel's part of the futex. All that matters of the word is whether it has changed
   since a worker read it. */
bool word_has_changed[WORKERS] = true;
bool asleep[WORKERS];

/* What each worker has sent, and the manager has not received. In C it is one socket for
   all; it keeps the order, and a worker's death comes behind all that it has sent.
   A killed worker takes no more steps. A dead one has not been started again. One that is
   down will never be. */
chan sent[WORKERS] = [SLOTS] of { byte /* slot */, byte /* the task that ran */ };
bool killed[WORKERS], dead[WORKERS], is_down[WORKERS];
bool server_is_dead, is_over;

/* The parent's memory (struct pool). */
byte futures[SLOTS] = NONE; /* the task whose future is in the slot */
byte submitted, taken;      /* the queue has the tasks from `taken` on */
bool is_closed, is_broken;
bool wakes_manager;         /* fork_server_wake() */

/* What has become of each task, and of its future. */
mtype:fate = { PENDING, RAN, LATE, ENDED }
mtype:fate fates[TASKS] = PENDING;

#define is_ready(turn) (slots[(turn) % SLOTS].phase == READY && \
                        slots[(turn) % SLOTS].turn == turn)
#define is_owned_by(number, slot) \
    (slots[slot].phase != FREE && slots[slot].phase != READY && \
     slots[slot].owner == number)
#define is_running(slot) (!is_broken && slots[slot].phase == CLAIMED)
#define ring_is_empty (futures[0] == NONE && futures[1] == NONE)
#define ring_has_room ((futures[0] != NONE) + (futures[1] != NONE) < ROOM)
#define queue_is_drained (is_closed && taken == submitted)
#define can_be_withdrawn(slot) \
    (slots[slot].phase == READY || WRONG(withdraw_without_compare))

/* ---- A worker's process (task_ring.c, process_worker.c) ---- */

/* try_claim(). `first` and `end` are loaded in one step, since `end` only grows. `looks`
   is false only by mistake. If the ring is empty, word_has_changed becomes `changed`. */
inline try_claim(looks, changed)
{
    do
    :: atomic { first == end || !(looks) -> word_has_changed[_pid] = changed; break }
    :: atomic { first != end && (looks) -> turn = first };
       d_step {
           if
           :: is_ready(turn) || WRONG(claim_without_compare) ->
              slot = turn % SLOTS;
              task = slots[slot].task;
              slots[slot].phase = CLAIMED; slots[slot].owner = _pid; slots[slot].turn = 0
           :: else
           fi
       };
       atomic { /* no task of this turn is READY any more */
           first = first + (first == turn || WRONG(first_moves_without_compare));
           assert(first <= end);
           turn = 0;
           if :: slot != NONE -> goto claimed :: else fi
       }
    od
}

/* task_ring_claim(). The futex word is read after the first look at the ring. */
inline claim()
{
    do
    :: try_claim(true, false);
       atomic {
           sleepers = sleepers + !WRONG(sleep_counts_after_the_look);
           saw_end = is_ended
       };
       try_claim(!WRONG(sleep_without_second_look), word_has_changed[_pid]);
       atomic { /* futex(FUTEX_WAIT) */
           sleepers = sleepers + WRONG(sleep_counts_after_the_look);
           if :: saw_end -> goto ended :: else fi;
           asleep[_pid] = !word_has_changed[_pid] || WRONG(sleep_without_compare);
           word_has_changed[_pid] = true
       };
       !asleep[_pid]
    od
}

/* work(), run_slot() */
active [WORKERS] proctype worker()
{
    byte turn, slot = NONE, task = NONE;
    bool saw_end;
start:
    {
        do
        :: claim();
claimed:
           atomic { /* the task runs; then task_ring_complete() */
               word_has_changed[_pid] = true; /* nobody compares it any more */
               saw_end = false;
               assert(fates[task] == PENDING || fates[task] == LATE || is_broken);
               fates[task] = (fates[task] == PENDING -> RAN : fates[task]);
               if
               :: slots[slot].phase == CLAIMED || WRONG(complete_without_compare) ->
                  slots[slot].phase = DONE
               :: else -> goto ended /* it has expired */
               fi
           };
           atomic { sent[_pid]!slot, task; slot = NONE; task = NONE }
        od
    } unless { killed[_pid] };
ended:
    atomic { /* what it owns in the ring, and what it has sent, is left */
        dead[_pid] = true; killed[_pid] = false;
        asleep[_pid] = false; word_has_changed[_pid] = true; saw_end = false;
        turn = 0; slot = NONE; task = NONE
    };
    if
    :: !dead[_pid] -> goto start
    :: is_over
    fi
}

/* ---- In any thread of the parent (task_ring.c, process_pool.c) ---- */

/* wake(): changes the word; then futex(FUTEX_WAKE) wakes any of those that sleep. */
inline futex_wake(count)
{
    atomic {
        word_has_changed[0] = true; word_has_changed[1] = true;
        do
        :: count > 0 && asleep[0] -> asleep[0] = false; count--
        :: count > 0 && asleep[1] -> asleep[1] = false; count--
        :: count == 0 || (!asleep[0] && !asleep[1]) -> count = 0; break
        od
    }
}

/* task_ring_wake() */
inline wake(count)
{
    do
    :: atomic {
           count = (count < sleepers -> count : sleepers);
           sleepers = sleepers - count;
           if :: count == 0 -> break :: else fi
       };
       futex_wake(count);
       break
    od
}

/* fill_ring(), task_ring_publish(). This is one step, since the parent's threads hold the
   lock, and since no worker looks at a slot before `end` has moved past its turn. */
inline fill_ring(count)
{
    do
    :: ring_has_room && taken < submitted && !is_broken ->
       if
       :: fates[taken] == ENDED /* cancelled in the queue */
       :: else ->
          do
          :: slots[end % SLOTS].phase == FREE || WRONG(publish_in_a_busy_slot) -> break
          :: else -> end++
          od;
          assert(futures[end % SLOTS] == NONE);
          futures[end % SLOTS] = taken;
          slots[end % SLOTS].task = taken;
          slots[end % SLOTS].turn = end;
          slots[end % SLOTS].phase = READY;
          end++; count++
       fi;
       taken++
    :: else -> break
    od
}

/* task_ring_release(), take_out() */
inline release(slot)
{
    slots[slot].phase = FREE; slots[slot].turn = 0;
    slots[slot].owner = 0; slots[slot].task = NONE;
    futures[slot] = NONE
}

/* task_ring_withdraw(), future_finish_cancelled() */
inline withdraw(slot)
{
    assert(fates[futures[slot]] == PENDING);
    fates[futures[slot]] = ENDED;
    release(slot)
}

/* future_cancel(). dispatch() follows if the task has been withdrawn. */
inline cancel(task)
{
    if
    :: task >= taken && fates[task] == PENDING ->
       fates[task] = ENDED; task = 0; goto next
    :: futures[0] == task && can_be_withdrawn(0) -> withdraw(0)
    :: futures[1] == task && can_be_withdrawn(1) -> withdraw(1)
    :: else -> task = 0; goto next /* too late */
    fi;
    task = 0;
    if :: WRONG(cancel_does_not_dispatch) -> goto next :: else fi
}

/* dispatch(), up to task_ring_wake() */
inline dispatch()
{
    fill_ring(count);
    wakes_manager = wakes_manager || is_broken ||
                    queue_is_drained && !WRONG(close_does_not_wake_the_manager)
}

active proctype user()
{
    byte count, task, cancels;
next:
    atomic { /* one step: it makes no difference which thread publishes a task */
        if
        :: submitted < TASKS -> submitted++ /* executor_submit() */
        :: submitted == TASKS && !is_closed -> is_closed = true /* executor_close() */
        :: cancels < CANCELS && submitted > 0 ->
           cancels++;
           select(task : 0..submitted - 1);
           cancel(task)
        :: is_closed -> goto wait
        fi;
        if
        :: WRONG(publish_after_waking) && taken < submitted ->
           count = 1; goto publish_late
        :: else
        fi;
        dispatch();
        if :: count == 0 -> goto next :: else fi
    };
    wake(count);
    goto next;
publish_late:
    wake(count);
    atomic { dispatch(); count = 0; goto next };
wait:
    /* future_result() of each, then executor_shutdown() */
    fates[0] == ENDED && fates[1] == ENDED && fates[TASKS - 1] == ENDED && is_over
}

/* ---- The manager (process_pool.c, worker_handle.c) ---- */

/* pool_settle(). `ran` is the task whose result the worker has sent, or NONE if the
   worker has died. */
inline settle(slot, number, ran)
{
    assert(is_owned_by(number, slot) && fates[futures[slot]] != ENDED);
    assert(ran == NONE || ran == futures[slot] && slots[slot].phase == DONE &&
                          fates[ran] == RAN);
    assert(ran != NONE || empty(sent[number]) || is_broken);
    fates[futures[slot]] = ENDED;
    release(slot)
}

/* receive_result() */
inline receive(number)
{
    sent[number]?slot, task;
    settle(slot, number, task);
    slot = 0; task = 0
}

/* The loop in handle_reap() */
inline settle_slots(number)
{
    do
    :: is_owned_by(number, 0) -> settle(0, number, NONE)
    :: is_owned_by(number, 1) -> settle(1, number, NONE)
    :: else -> break
    od
}

/* handle_reap(), when all that the worker has sent is received. Others are woken: the
   dead worker may have been woken for a task. */
inline reap(number)
{
    atomic {
        do
        :: len(sent[number]) > 0 && !WRONG(reap_settles_before_it_reads) ->
           receive(number);
           if :: WRONG(reap_settles_one_slot) -> break :: else fi
        :: else -> settle_slots(number); break
        od;
        sleepers = (WRONG(reap_wakes_nobody) -> sleepers : 0);
        count = (WRONG(reap_wakes_nobody) -> 0 : WORKERS)
    };
    futex_wake(count)
}

/* prepare_for_tasks(), up to task_ring_wake(); is_over(). Once the queue is drained, no
   task comes into the ring any more, so that in this order it is one step. */
inline prepare_for_tasks()
{
    if
    :: is_broken -> fail_all_pending()
    :: !is_broken && !WRONG(manager_does_not_dispatch) -> fill_ring(count)
    :: else
    fi;
    if
    :: queue_is_drained && ring_is_empty && !WRONG(end_asks_the_ring_first) -> goto over
    :: ring_is_empty && taken == submitted && WRONG(end_asks_the_ring_first) ->
       goto ring_was_empty
    :: else -> if :: count == 0 -> goto next :: else fi
    fi
}

/* worker_died(), start_failed() */
inline worker_died(number)
{
    reap(number);
    atomic {
        if
        :: dead[number] = server_is_dead
        :: START_FAILURES > 0 && !dead[1 - number] -> is_down[number] = true
        fi;
        prepare_for_tasks()
    }
}

/* fail_all_pending() */
inline fail_all_pending()
{
    if :: slots[0].phase == READY -> withdraw(0) :: else fi;
    if :: slots[1].phase == READY -> withdraw(1) :: else fi;
    do
    :: taken < submitted -> fates[taken] = ENDED; taken++
    :: else -> break
    od
}

/* fork_server_died(). Its workers may live a little longer. */
inline fork_server_died()
{
    atomic {
        is_broken = true;
        if :: !WRONG(fork_server_died_reaps_first) -> fail_all_pending() :: else fi
    };
    reap(0);
    reap(1);
    atomic { /* task_ring_end() */
        is_ended = true;
        sleepers = 0;
        count = (WRONG(end_wakes_nobody) -> 0 : WORKERS)
    };
    futex_wake(count)
}

/* task_ring_expire(), give_up(). The task was CLAIMED when the manager looked. */
inline expire(slot)
{
    atomic {
        if
        :: slots[slot].phase == CLAIMED || WRONG(expire_without_compare) ->
           slots[slot].phase = EXPIRED;
           fates[futures[slot]] = LATE
        :: else -> goto next
        fi
    };
    atomic { killed[slots[slot].owner] = !dead[slots[slot].owner]; goto next }
}

/* serve(), do_what_is_due(), pool_receive() */
active proctype manager()
{
    byte slot, task, count, expiries;
next:
    if
    :: atomic { wakes_manager -> wakes_manager = false; prepare_for_tasks() }
    :: atomic { !is_broken && len(sent[0]) > 0 -> receive(0); prepare_for_tasks() }
    :: atomic { !is_broken && len(sent[1]) > 0 -> receive(1); prepare_for_tasks() }
    :: !is_broken && dead[0] && !is_down[0] -> worker_died(0)
    :: !is_broken && dead[1] && !is_down[1] -> worker_died(1)
    :: atomic { is_running(0) && expiries < EXPIRIES -> expiries++ }; expire(0)
    :: atomic { is_running(1) && expiries < EXPIRIES -> expiries++ }; expire(1)
    :: !is_broken && server_is_dead -> fork_server_died(); atomic { prepare_for_tasks() }
    fi;
    wake(count);
    goto next;
ring_was_empty:
    if :: queue_is_drained -> goto over :: else -> goto next fi;
over:
    atomic { /* close_server() kills the workers, unless the fork server has died */
        killed[0] = !dead[0] && !is_broken;
        killed[1] = !dead[1] && !is_broken;
        is_over = true
    }
}

/* ---- The environment ---- */

/* It may stop at any time: those that wait must not be saved by another death. Since the
   workers are alike, worker 0 is killed first. */
active proctype environment()
{
    byte kills;
    do
    :: atomic { kills < KILLS && !dead[0] && !killed[0] -> killed[0] = true; kills++ }
    :: atomic { 0 < kills && kills < KILLS && !dead[1] && !killed[1] ->
           killed[1] = true; kills++
       }
    :: atomic { SERVER_DEATHS > 0 && !server_is_dead -> server_is_dead = true }
    :: atomic { kills = 0; break }
    od
}
