#!/bin/sh
# mutate.sh - do the tests notice faults?  sh tests/mutate.sh [--check | --sample COMMIT] [PART OF A NAME]
#
# Makes one deliberate fault at a time in a copy of sessrec.h or of a header in examples/, builds the test
# programs that ought to notice, and runs them. A fault that no program notices is a hole in the tests: it is
# named, and the script ends with 1. Faults are made by replacing a piece of code that occurs exactly once;
# where its lines break and what it is indented by does not matter. A piece that has changed since is an
# error, so that the list cannot rot. --check only says whether each fault can be made, within seconds.
# --sample makes every twelfth fault, beginning with one that follows from the name of the commit, and no more
# after 90 seconds: over time, CI makes them all.
#
# CC, JOBS (how many faults at a time) and MUTANT_CFLAGS may be set. Plain kernels without optimization
# compile ten times as fast.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
CC=${CC:-cc}
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
check=
step=1 first=0 ends=
if [ "${1:-}" = --check ]; then check=yes; shift; fi
if [ "${1:-}" = --sample ]; then
    step=12 first=$(printf '%s' "$2" | cksum | awk '{ print $1 % 12 }') ends=$(($(date +%s) + 90))
    shift 2
fi
only=${1:-}
limit=
if command -v timeout >/dev/null; then limit='timeout 120'; fi

# A tree of its own for each fault.
plant() {
    mkdir -p "$1/tests" && cp "$root"/tests/*.[ch] "$root"/tests/*.sh "$1/tests/" &&
        ln -s "$root/tests/golden" "$1/tests/golden" && cp -R "$root/examples" "$1/" &&
        cp "$root/sessrec.h" "$1/"
}

# Builds and runs one test program of a tree, or the command line and its script. 0: it passes.
passes() {
    source=$1/tests/$2.c run="./$2 tests/golden" flags='-O0 -DSESSREC_NO_SIMD'
    [ "$2" = test_cli ] && source=$1/examples/sessrec.c run="sh tests/test_cli.sh ./test_cli" flags=-O2
    # shellcheck disable=SC2086  # flags are words
    "$CC" ${MUTANT_CFLAGS:-$flags} -DSESSREC_IMPLEMENTATION= -w -o "$1/$2" "$source" \
        -lm -lpthread >"$1/log" 2>&1 || return 2
    # shellcheck disable=SC2086
    (cd "$1" && TMPDIR=$1 $limit $run) >"$1/log" 2>&1
}

# replaced FILE FROM TO: prints the file with the only place where FROM stands replaced by TO. Spaces and line
# ends count neither in FROM nor in the file.
replaced() {
    FROM=$2 TO=$3 awk '
        # The characters of line n up to and with the `count`th that is no space.
        function column(n, count,    i) {
            for (i = 1; count > 0; ++i) if (substr(line[n], i, 1) !~ /[ \t]/) --count
            return i - 1
        }
        BEGIN { RS = "\001" }  # the file is one record
        {
            lines = split($0, line, "\n") - 1
            gsub(/[ \t\n]/, "")
            from = ENVIRON["FROM"]
            gsub(/[ \t\n]/, "", from)
            at = index($0, from)
            if (!at || index(substr($0, at + 1), from)) exit 1
            for (n = 1; ; ++n) {
                bare = line[n]
                gsub(/[ \t]/, "", bare)
                if (length(bare) >= at) break
                at -= length(bare)
                print line[n]
            }
            printf "%s%s", substr(line[n], 1, column(n, at) - 1), ENVIRON["TO"]
            for (at += length(from) - 1; ; ++n) {
                bare = line[n]
                gsub(/[ \t]/, "", bare)
                if (length(bare) >= at) break
                at -= length(bare)
            }
            print substr(line[n], column(n, at) + 1)
            while (++n <= lines) print line[n]
        }' "$1"
}

# attempt NUMBER NAME PROGRAMS FROM TO: writes one line to $work/NUMBER.result
attempt() {
    tree=$work/$1
    verdict="SURVIVED  $2 ($3)"
    file=
    for header in sessrec.h examples/experiment.h examples/gru4rec.c examples/service.h \
        examples/zoo/layers.h examples/zoo/attention.h examples/zoo/lru.h; do
        replaced "$root/$header" "$4" "$5" >"$work/$1.h" && ! cmp -s "$root/$header" "$work/$1.h" &&
            file=$header && break
    done
    if [ ! "$file" ]; then
        verdict="NO FAULT  $2: the code that it replaces is not there exactly once: $4"
    elif [ "$check" ]; then
        verdict="noticed   $2: nobody has tried"
    elif plant "$tree" && mv "$work/$1.h" "$tree/$file"; then
        for program in $3; do
            passes "$tree" "$program"
            case $? in
            0) continue ;;
            2) [ -x "$tree/$program" ] && verdict="noticed   $2 ($program)" ||
                verdict="NO FAULT  $2: it does not compile" ;;
            *) verdict="noticed   $2 ($program)" ;;
            esac
            break
        done
    fi
    echo "$verdict" >"$work/$1.result"
    rm -rf "$tree" "$work/$1.h"
}

# Without a fault a program passes, or the rest means nothing.
sound=
is_sound() {
    case " $sound " in *" $1 "*) return ;; esac
    passes "$work/sound" "$1" || {
        cat "$work/sound/log"
        echo "mutate.sh: $1 does not pass without any fault"
        exit 2
    }
    sound="$sound $1"
}
[ "$check" ] || plant "$work/sound" || exit 2

number=0 listed=0
mutate() {
    case $1 in *"$only"*) ;; *) return ;; esac
    listed=$((listed + 1))
    [ $((listed % step)) -eq $((first % step)) ] || return
    [ "$ends" ] && { [ "$(date +%s)" -lt "$ends" ] || return; }
    [ "$check" ] || for program in $2; do is_sound "$program"; done
    number=$((number + 1))
    attempt "$number" "$@" 2>/dev/null &  # a shell says on its stderr that a program crashed
    if [ $((number % JOBS)) -eq 0 ]; then wait; fi
}

# ---- the cell ----
mutate 'the update gate keeps what it should replace' golden \
    'V(mul, d, V(sub, c, SESSREC__AT(h)))' 'V(mul, d, V(sub, SESSREC__AT(h), c))'
mutate 'reset and update gate are swapped' golden \
    'float *r = tape + i * T, *z = r + H, *n = z + H;' 'float *r = tape + i * T, *z = r, *n = r + 2 * H;'
mutate 'the slope of tanh is forgotten' golden \
    'V(mul, d, V(fma, V(minus, c), c, one))' 'd'
mutate 'the slope of a gate is forgotten' golden \
    'V(sub, V(all, 1), SESSREC__AT(gate))' 'V(all, 1)'
mutate 'gates go on down to denormal numbers' test_kernels \
    'return V(less, x, SESSREC__LOWEST, V(all, 0), y);' 'return y;'
mutate 'the reset gate does not reach the candidate' golden \
    'k->multiply(H, tape + i * T, h + (ptrdiff_t)i * H, tape + i * T + G);' \
    'k->scale(H, 1, h + (ptrdiff_t)i * H, tape + i * T + G);'
mutate 'the recurrent bias has no gradient' golden \
    'k->axpy(2 * H, 1, d_gates + i * T, out);' 'k->axpy(2 * H, role != SESSREC__GRU_C, d_gates + i * T, out);'

# ---- losses ----
mutate 'cross-entropy forgets the target in its gradient' golden \
    'g[t] += own * share - 1;' 'g[t] += own * share;'
mutate 'the softmax of the max losses counts the target' golden \
    'k->multiply(row->M, row->n, w, w);' ''
mutate 'TOP1 without its second term' golden \
    'row->a[j] = rank + size;' 'row->a[j] = rank;'
mutate 'half the gradient of bpreg' golden \
    'V(add, SESSREC__AT(s), V(all, 2))' 'V(add, SESSREC__AT(s), V(all, 1))'
mutate 'the mean of BPR counts the target' golden \
    'diagonal ? 1 : 1 / row->negatives;' 'diagonal ? 1 : 1 / (row->negatives + 1);'
mutate 'smoothing adds instead of sharing' golden \
    'loss = (1 - smoothing) * loss + smoothing * mean;' 'loss = loss + smoothing * mean;'
mutate 'the slope of SELU lacks its factor' golden \
    'V(add, SESSREC__AT(f), V(all, a * b))' 'V(add, SESSREC__AT(f), V(all, a))'
mutate 'logQ takes targets for samples' 'test_flaws golden' \
    'tr->target_weight[item] - tr->sample_weight[item];' '0;'
mutate 'a target corrects its column once for each part' test_promises \
    'if (j < begin || j >= end) continue;' ''
mutate 'a draw stops its search early' test_sampler \
    'widest |= range[1] - range[0];' 'widest = range[1] - range[0];'
mutate 'logQ is added' golden \
    '(float)exp(-logq * alpha * log_support);' '(float)exp(logq * alpha * log_support);'
mutate 'the gradient follows the live batch size' golden \
    'tr->kernels->scale(M, 1 / (float)c->batch_size,' 'tr->kernels->scale(M, 1 / (float)step->rows,'

mutate 'a target stands where its row says, not where the caller does' test_blocks \
    'target_columns ? target_columns[i] : first_row + i;' 'first_row + i;'

# ---- the batcher ----
mutate 'the last pair of a session is lost' test_batcher \
    'return slot->at + 1 < slot->end;' 'return slot->at + 2 < slot->end;'
mutate 'a new session does not reset the state' 'test_batcher test_flaws' \
    'slot->start = 1;' 'slot->start = walk->step == 0;'
mutate 'a state that is reset at every step' test_batcher \
    'walk->slot[i].start = walk->slot[i].user_starts = 0;' 'walk->slot[i].user_starts = 0;'
mutate 'slots that move up take the wrong state' test_batcher \
    'walk->previous[kept] = i;' 'walk->previous[kept] = kept;'
mutate 'the target is the input' test_batcher \
    'b->target[i] = b->log.items[slot->at + 1];' 'b->target[i] = b->log.items[slot->at];'
mutate 'the last slot is always dropped' test_batcher \
    'return b->walk.rows > (b->lone_slot_ends ? 1 : 0);' 'return b->walk.rows > 1;'
mutate 'a shuffle that cannot leave an item in place' test_batcher \
    'base + (uint64_t)i), (uint64_t)i + 1), other' 'base + (uint64_t)i), (uint64_t)i), other'
mutate 'one shuffle for all epochs' test_batcher \
    'base = (uint64_t)b->epoch << 32;' 'base = 0;'
mutate 'the same negatives in every step' test_batcher \
    '+ (uint64_t)b->walk.step * (uint64_t)b->negatives;' '+ 0;'
mutate 'a shuffled epoch has as many mini-batches as the first' test_batcher \
    '{ b->steps = b->walk.step;' '{'
mutate 'seek is a step short' 'test_batcher test_trainer' \
    'while (b->walk.step + 1 < step &&' 'while (b->walk.step + 2 < step &&'

# ---- the sampler ----
mutate 'alpha 0.5 is not the root' test_sampler \
    'alpha == 0.5f ? sqrt((double)support)' 'alpha == 0.5f ? cbrt((double)support)'
mutate 'probabilities of 20 bits' test_sampler \
    '(uint64_t)(share * 4611686018427387904.0)' '(uint64_t)(share * 1048576.0)'
mutate 'the guide begins one item late' test_sampler \
    'sampler->guide[g] = item;' 'sampler->guide[g] = item + (item + 1 < item_count);'
mutate 'items without support can come' test_sampler \
    'sampler->total += q || supports[i] <= 0 ? q : 1;' 'sampler->total += q ? q : 1;'

# ---- the optimizer ----
mutate 'epsilon outside the root' golden \
    'V(fma, g, g, SESSREC__FIRST); V(put, u->first + i, a, n - i); d = V(div, g, V(sqrt, V(add, a,
        epsilon)));' \
    'V(fma, g, g, SESSREC__FIRST); V(put, u->first + i, a, n - i); d = V(div, g, V(add, V(sqrt, a),
        epsilon));'
mutate 'an item that is an input, too, is updated twice' golden \
    'else sessrec__update_touched(tr, &tr->output, first + c' \
    'sessrec__update_touched(tr, &tr->output, first + c'
mutate 'an own target among the samples counts' test_flaws \
    'columns->times[target] = skip ? 0 : times - 1;' 'columns->times[target] = times - 1;'
mutate 'the gradient of a state comes from another row' golden \
    'const ptrdiff_t from = row ? row[i] : i;' 'const ptrdiff_t from = i;'
mutate 'momentum is dropped' golden \
    'V(fma, V(all, o.momentum), V(get, u->velocity + i, n - i), V(mul, rate, d));' 'V(mul, rate, d);'
mutate 'Adam counts from 0' golden \
    'const double t = (double)state->steps[row];' 'const double t = (double)state->steps[row] + 1;'
mutate 'an item that comes twice counts once' 'golden test_flaws' \
    '(float)(end[c] - (c ? end[c - 1] : 0));' '1;'
mutate 'the second use of an input replaces the first' 'golden test_flaws' \
    'tr->kernels->axpy(width, onehot && tr->input_mask ? tr->input_mask[row] : 1,' \
    'tr->kernels->scale(width, onehot && tr->input_mask ? tr->input_mask[row] : 1,'
mutate 'sessrec_sum_duplicates keeps the first only' 'golden test_flaws' \
    'k->axpy(columns, 1, row, gradient' 'k->axpy(columns, 0, row, gradient'

# ---- the trainer ----
mutate 'the states before the step are kept' 'golden test_flaws' \
    'sessrec__swap(state, next);' ''
mutate 'inputs of a tied table are not updated' golden \
    'if (step->at_once) sessrec__update_touched(tr, touched, place, sum);' ''
mutate 'dropout does not scale' test_trainer \
    'const float kept = 1 / (1 - p);' 'const float kept = 1;'
mutate 'dropout keeps with probability p' 'test_flaws test_trainer' \
    'base + (uint64_t)j)) < p ? 0 : kept;' 'base + (uint64_t)j)) >= p ? 0 : kept;'
mutate 'first weights as if three gates were one matrix' test_flaws \
    '(double)(shape->columns / shape->gates)' '(double)shape->columns'
mutate 'the hardest negatives are those that score lowest' test_losses \
    'if (sessrec__ordered(s[j]) < least) {' 'if (sessrec__ordered(s[j]) > least) {'
mutate 'a negative that scores as the last of the hardest is left out' test_losses \
    'if (sessrec__ordered(s[j]) < least) {' 'if (sessrec__ordered(s[j]) <= least) {'
mutate 'gBCE has the calibration upside down' test_losses \
    '1 - c->calibration * (1 - c->sampling_rate) : 1' '1 - c->calibration * c->sampling_rate : 1'
mutate 'the times of clicks do not reach a scorer' test_scorers \
    '&item, has_time ? &time : NULL,' '&item, NULL,'
mutate 'categories stay in the order of the file' test_log \
    'result = sessrec__sort_by_time(&g->log->memory, g->spare, g->categories[c] + from, events);' ''
mutate 'a loss of NaN goes on' test_flaws \
    'tr->has_gradients = sessrec__loss_is_sound(tr, batch, sum);' 'tr->has_gradients = 1;'
mutate 'an epoch too many' test_flaws \
    'if (at.epoch >= config->epochs ||' 'if (at.epoch > config->epochs ||'
mutate 'a value as good counts as better' test_trainer \
    'value <= tr->position.best) {' 'value < tr->position.best) {'
mutate 'an item out of range is let in' test_trainer \
    'if (most >= (uint32_t)tr->model->info.item_count)' 'if (most > (uint32_t)tr->model->info.item_count)'
mutate 'a checkpoint without momentum' test_trainer \
    '{s->first, s->second, s->velocity, s->steps,' '{s->first, s->second, NULL, s->steps,'

# ---- the plain program ----
mutate 'the plain program goes back without the bias' test_lecture \
    'm->By.gradient[j] += m->dS[i * C + j];' 'm->By.gradient[j] += 0;'
mutate 'the plain program keeps the states of other slots' test_lecture \
    'm->hidden + batch->previous_rows[i] * H' 'm->hidden + i * H'

# ---- the zoo ----
mutate 'a norm forgets in its gradient that the mean moves' test_zoo \
    '(norm->w[j] * dy[j] - sum - u[j] * product)' '(norm->w[j] * dy[j] - u[j] * product)'
mutate 'a recurrence that fades does not count less' test_zoo \
    '- d_c * r.size / r.c' ''
mutate 'attention forgets its own place in the gradient' test_zoo \
    '(zoo_dot(d, d_o, a->q + v) - mean)' 'zoo_dot(d, d_o, a->q + v)'
mutate 'a validation log of unknown items is refused after an epoch' test_trainer \
    'if (known < 2) {' 'if (0) {'
mutate 'a model may be written over the log that it is of' test_trainer \
    'for (int j = i + 1; j < 3; ++j) if (sessrec_same_file(names[i], names[j]))' \
    'for (int j = i + 1; j < 2; ++j) if (sessrec_same_file(names[i], names[j]))'
mutate 'what cannot be written is found out after training' test_trainer \
    'result = sessrec_outputs_write(outputs, config->checkpoint ? 2 : 1, err);' ''
mutate 'rows without a slot keep their states' test_diverged \
    '(size_t)(slots - step->rows) * (size_t)width * sizeof **state' '0'
mutate 'dropout of first states draws from another stream' test_diverged \
    'SESSREC__STREAM_DROPOUT_INIT = 9,' 'SESSREC__STREAM_DROPOUT_INIT = 10,'

# ---- going on from a model ----
mutate 'all items are warmed up alike' test_refresh \
    '(double)(shape->table ? base->support[i] : base->info.event_count)' \
    '(double)(shape->table ? 1 : base->info.event_count)'
mutate 'new items are warmed up too' test_refresh \
    'if (item && (*item < 0 || *item >= known)) continue;' 'if (item && *item < 0) continue;'
mutate 'the warm-up leaves its hidden states' test_refresh \
    'if (!result) memset(hidden.data, 0,' 'if (0) memset(hidden.data, 0,'

# ---- users ----
mutate 'the first session of a user begins from their state' 'golden test_flaws' \
    'if (step->batch->session_starts[i] && !step->batch->user_starts[i])' \
    'if (step->batch->session_starts[i])'

mutate 'the slope of a first state is forgotten' test_gradients \
    'd[j] = d_h[j] * (1 - begun[j] * begun[j]);' 'd[j] = d_h[j];'
mutate 'the gates that see the user give him no gradient' test_gradients \
    'if (model->context) { const int32_t H = tr->config.hidden[0], width' \
    'if (0) { const int32_t H = tr->config.hidden[0], width'
mutate 'dropout of the user is forgotten on the way back' test_gradients \
    'if (user->mask) k->multiply(count * Hu, user->d_c + at, user->mask + at, user->d_c + at);' ''
mutate 'a user in an evaluation begins with the state of the one before' test_users \
    'scorer->begin_user(scorer->self, user);' ';'
mutate 'a user whose row moves up leaves his state behind' test_users \
    'if (from != i && e->by_user) memcpy(user,' 'if (0) memcpy(user,'
mutate 'a user holds two slots' test_users \
    'slot->last_link = walk->chain ? walk->chain_begin[chain + 1] - 1 : chain;' \
    'slot->last_link = walk->chain ? walk->chain_begin[chain + 1] : chain;'
mutate 'the state of a user fits every model of its width' test_users \
    'sessrec__field_is(fields, sessrec__model_fingerprint(user->model), 8, SESSREC_MISMATCH);' \
    'sessrec__field(fields, sessrec__model_fingerprint(user->model), 8, UINT64_MAX);'

mutate 'a fold leaves the session open' test_users \
    'user->sessions++; } sessrec_session_end(session);' 'user->sessions++; }'

# ---- files ----
mutate 'checksums of sections are not compared' 'test_trainer test_file' \
    'return sum == section.crc ? NULL' 'return sum + 1 ? NULL'
mutate 'a NUL in an id is let in' test_file \
    '(const char *)memchr(text, 0, size) != text + size - 1' 'text[size - 1]'
mutate 'the order of ids is taken for granted' test_file \
    'if (i && strcmp(sessrec__item_text(model, order[i - 1]), sessrec__item_text(model, order[i])) >= 0)' \
    'if (0)'
mutate 'a checkpoint may have any number of pairs' test_diverged \
    'sessrec__count_of(in[2], steps) < 0 ||' ''
mutate 'a mini-batch may be of any step' test_diverged \
    '|| sessrec__count_of((double)b->step, sessrec__most_steps) < 0)' ')'
mutate 'a sum of squares may be negative' test_diverged \
    'view->tr->config.optimizer.kind != SESSREC_ADAM)) out->sign = 0;' \
    'view->tr->config.optimizer.kind != SESSREC_ADAM)) out->sign = out->sign;'
mutate 'a rule may lead to an item that is not there' test_scorers \
    'if (rules->rules[r].item < 0 || rules->rules[r].item >= V ||' 'if (rules->rules[r].item < 0 ||'

# ---- logs ----
mutate 'a session starts with its first row, not its earliest event' test_log \
    'if (!g->at[s]++ || g->time[e] < g->start[s])' 'if (!g->at[s]++)'
mutate 'events of equal time change places' test_log \
    'spare[left] <= time[right];' 'spare[left] < time[right];'
mutate 'the filter goes round once' 'test_log test_flaws' \
    'while (v->listed)' 'if (v->listed)'
mutate 'items at the limit of support are too rare' 'test_flaws test_log' \
    'if (v->support[i] < rule.min_support)' 'if (v->support[i] <= rule.min_support)'
mutate 'a session begins with its latest event' test_log \
    'g->time[e] < g->start[s]' 'g->time[e] >= g->start[s]'
mutate 'sessions of two users are one' test_log \
    'memcpy(text + session[i].size + 1, &user[i], sizeof *user);' ';'
mutate 'a bad field in quotes ends with its first line' test_log \
    'return (char *)memchr(to, r->newline' 'return (char *)memchr(at, r->newline'
mutate 'lines in quotes are not counted' test_log \
    'r->line += *p == r->newline;' ';'
mutate 'a quote in any column stops a row' test_log \
    'if (asked) {  // the row goes on' 'if (at) {  // the row goes on'
mutate 'milliseconds are seconds' test_log \
    'size < 1e11 ? 0' 'size < 1e14 ? 0'
mutate 'equal times turn round when they are merged' test_log \
    'spare[left] <= time[right]' 'spare[left] < time[right]'
mutate 'the first failure is forgotten' test_log \
    'if (err) *err = log->in->failure;
        return log->in->failure.code;' ';'
mutate 'a zone in the west is one in the east' test_log \
    "(sign == '-' ? -1 : 1)" '1'
mutate 'afternoon is morning' test_log \
    '(afternoon ? 12 : 0)' '0'
mutate 'a user without an id is one' test_log \
    'if (!id[i].at) number[i] = -1;' 'if (!id[i].at) number[i] = 0;'
mutate 'a session that begins at the split is in neither part' 'test_log test_flaws' \
    ': start >= time ? SESSREC__SECOND' ': start > time ? SESSREC__SECOND'

# ---- ranks and lists ----
mutate 'equals count as higher' 'test_flaws golden' \
    'V(less, v, V(load, x + i), one, zero)' 'V(less, V(load, x + i), v, zero, one)'
mutate 'standard ties are conservative' test_flaws \
    'ties == SESSREC_TIES_STANDARD ? first :' 'ties == SESSREC_TIES_STANDARD ? first + others :'
mutate 'median ties are not halved' test_flaws \
    'ties == SESSREC_TIES_MEDIAN ? first + others / 2' 'ties == SESSREC_TIES_MEDIAN ? first + others'
mutate 'rank k is no hit at k' test_flaws \
    'if (rank > cutoffs[c]) continue;' 'if (rank >= cutoffs[c]) continue;'
mutate 'NaN ranks first' test_flaws \
    'tally->higher += count - inside;' 'tally->higher += 0;'
mutate 'the reciprocal rank counts from 2' golden \
    'metrics->mrr[c] += 1 / rank;' 'metrics->mrr[c] += 1 / (rank + 1);'
mutate 'among equal scores the higher item comes first' test_stream \
    '(score_a == b->score && item_a < b->item)' '(score_a == b->score && item_a > b->item)'
mutate 'the screen forgets what the codes of a row leave out' test_stream \
    'model->screen_rest * (length + more)' 'model->screen_rest * 0.9 * (length + more)'
mutate 'the screen forgets what the codes of a state leave out' test_stream \
    'model->screen_whole * (sessrec__root_above(left) + more)' 'model->screen_whole * more'
mutate 'the screen forgets what rounding adds' test_stream \
    '+ sessrec__screen_eps(L) * size + 1e-20)' '+ 1e-20)'
mutate 'several sessions at once get what belongs to the first' test_stream \
    'scratch->scores + (ptrdiff_t)walker->row * SESSREC__SCAN_BLOCK);' 'scratch->scores);'
mutate 'the list takes the first k instead of the best' test_stream \
    'if (!sessrec__before(scores[i], item, request->out)) continue;' \
    'if (request->out[0].item >= 0) continue;'

# ---- neighbors, rules and blends ----
mutate 'sessions of a blend at once get the list of the first' test_scorers \
    'scratch->lists + (ptrdiff_t)i * scratch->list_room;' 'scratch->lists;'
mutate 'the state of a blend fits every blend of the same items' test_scorers \
    'for (int32_t p = 0; p < parts; ++p)' 'for (int32_t p = 0; p < 0; ++p)'
mutate 'the length of a neighbor does not count' 'test_scorers golden' \
    'if (c->cosine) { const int32_t n = knn->distinct[session];' \
    'if (0) { const int32_t n = knn->distinct[session];'
mutate 'an item that was clicked twice counts twice' test_scorers \
    'if (work->clicked.count == before) continue;' ''
mutate 'a candidate too many' 'test_scorers golden' \
    'taken < c->m || !c->m; ++taken' 'taken <= c->m || !c->m; ++taken'
mutate 'the farthest click that a neighbor shares counts' 'test_scorers golden' \
    'if ((int32_t)click->score < nearest) nearest' \
    'if (nearest == SESSREC__KNN_CLICKS - 1 || (int32_t)click->score > nearest) nearest'
mutate 'rules reach a step less' 'test_scorers golden' \
    'e - place <= c->steps; ++e)' 'e - place < c->steps; ++e)'
mutate 'Item-KNN looks at the support of one item only' 'golden test_scorers' \
    'n_j = b->supports[j] + c->lambda;' 'n_j = n_i;'
mutate 'an item is its own neighbor' 'golden test_scorers' \
    'if (items[e] == item || (c->kind' 'if ((c->kind'
mutate 'a blend forgets the weights of lists' test_scorers \
    'entry->score += (float)((double)member->weight * score);' 'entry->score += (float)score;'
mutate 'a part of a blend scores items by the numbers of the blend' test_scorers \
    'const int32_t item = member->to ? member->to[first + at] : first;' 'const int32_t item = first + at;'
mutate 'the logarithm in a blend is of unnormalized scores' test_scorers \
    'score / (sum * blend->epsilon)' 'score / blend->epsilon'

# ---- formats of logs ----
mutate 'half of a surrogate pair is enough' test_log \
    'code = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00);' 'code = 0x10000 + (code - 0xdc00);'
mutate 'no year has a February 29' test_log \
    '(leap && d->month == 2)' '0'
mutate 'leap years are as long as others' test_log \
    '(leap && d->month > 2)' '0'
mutate 'the second condition on rows is not looked at' test_log \
    'where = where[size] ? where + size + 1 : NULL;' 'where = NULL;'
mutate 'values that stand for none are ids' test_log \
    'if (r->format.blank &&' 'if (0 &&'
mutate 'the first line of Excel is the header' test_log \
    '!memcmp(line.at, "sep=", 4)' '0'
mutate 'a date whose day and month could be swapped is one of the two' test_log \
    'if (form >= SESSREC__EITHER_ORDER && r->format.day_first < 0) return SESSREC__WHICH_DAY;' ''
mutate 'microseconds are nanoseconds' test_log \
    '{"microseconds", 1e6}' '{"microseconds", 1e9}'
mutate 'a quote after a backslash ends a text in JSON' test_log \
    "for (; at < end && *at != '\"'; ++at) at += *at == '\\\\';" "for (; at < end && *at != '\"'; ++at) {}"
mutate 'a log that is read is inherited by programs' test_log \
    '"rbe"' '"rb"'
mutate 'the key of the tables of ids is not the caller'"'"'s' test_log \
    'ids->key = key ? key :' 'ids->key ='

# ---- options as text ----
mutate 'a name with an underscore is none' test_config \
    "(*b == '_' ? '-' : *b)" '*b'
mutate 'a number may be out of its range' test_config \
    '!sessrec__within(value, o->least, o->most)) return 0; *out = (float)value;' \
    '0) return 0; *out = (float)value;'
mutate 'a switch that turns something off turns it on' test_config \
    '(o->kind == SESSREC__UNSET ? !whole : whole)' 'whole'
mutate 'a value that does not fit is cut' test_config \
    'return writing.wanted < size ? SESSREC_OK' 'return 1 ? SESSREC_OK'
mutate 'a fifth layer is ignored' test_config \
    'if (count == SESSREC_MAX_LAYERS || !sessrec__take_whole' \
    'if (count == SESSREC_MAX_LAYERS) break; if (!sessrec__take_whole'
mutate 'a seed wraps round' test_config \
    'if (seed > (UINT64_MAX - digit) / 10) return 0;' ''

# ---- what a visitor is asked and told ----
mutate 'what was seen is recommended' test_stream \
    'if (query->skip_seen && sessrec__session_seen(session, item)) continue;' ''
mutate 'offsets push the other way' 'test_stream test_scorers' \
    'if (query->offsets && scores[i] > -INFINITY) scores[i] += query->offsets[item];' \
    'if (query->offsets && scores[i] > -INFINITY) scores[i] -= query->offsets[item];'
mutate 'nobody is asked for a veto' 'test_stream test_scorers' \
    'if (place < 0 || (query->veto && query->veto(query->veto_user, item))) continue;' \
    'if (place < 0) continue;'
mutate 'the newest item is forgotten, not the oldest' test_stream \
    'sessrec__session_find(session, seen[0]);' 'sessrec__session_find(session, seen[count - 1]);'
mutate 'an item that is clicked again keeps its place' test_stream \
    'while (seen[place] != item) --place;' 'return;'
mutate 'an unknown item counts as a known one' test_stream \
    'session->unknown++;' 'session->known++;'
mutate 'exploration asks for no veto' 'test_stream test_scorers' \
    'if (!(score > -INFINITY) || (query->veto && query->veto(query->veto_user, item))) continue;
        request->out[place].item = item;' \
    'if (!(score > -INFINITY)) continue; request->out[place].item = item;'
mutate 'the temperature is ignored' 'test_stream test_scorers' \
    'if (query->temperature > 0) sessrec__shuffle(' 'if (0) sessrec__shuffle('
mutate 'exploration draws the same for each place' 'test_stream test_scorers' \
    'query->random ^ (uint64_t)(place + 1) << 32' 'query->random'
mutate 'popular items are said to come from the model' test_stream \
    'request->source = request->session->known ? SESSREC_FROM_MODEL : SESSREC_FROM_POPULARITY;' \
    'request->source = SESSREC_FROM_MODEL;'

# ---- states as bytes ----
mutate 'the checksum of a state is not compared' 'test_stream test_users' \
    'if (sessrec__take(&sum, 4) != sessrec__crc32c(0, bytes, fields.left)) return SESSREC_BAD_FILE;' ''
mutate 'a hidden state may be above 1' 'test_stream test_users' \
    '(bits & 0x7fffffffu) > 0x3f800000u' '(bits & 0x7fffffffu) > 0x7f7fffffu'
mutate 'a state may have counted to the end' test_stream \
    'const uint64_t clicks = INT64_MAX / 2;' 'const uint64_t clicks = UINT64_MAX;'
mutate 'a state may remember an item twice' test_stream \
    'if (sorted[i] == sorted[i - 1]) sessrec__field_wrong(fields, SESSREC_BAD_FILE);' ';'
mutate 'a state that is refused leaves its items' test_stream \
    '} else if (fields->result) {  // the session stays as it was' '} else if (0) {'
mutate 'the state of neighbors may hold items that they do not have' test_scorers \
    'if (fields->mode == SESSREC__FIELDS_CHECK && s->scratch->scorer->valid &&' 'if (0 &&'
mutate 'a user may have had any number of sessions' test_users \
    '(uint64_t)user->sessions, 8, INT64_MAX / 2)' '(uint64_t)user->sessions, 8, UINT64_MAX)'
mutate 'a state may go on behind its end' test_stream \
    'if (fields->left) sessrec__field_wrong(fields, SESSREC_BAD_FILE);' ''

# ---- files that are replaced ----
mutate 'a save replaces what is not ours' test_file \
    'if (!ours)' 'if (0)'
mutate 'a link is replaced by a file' test_file \
    'if (size < 0) return 1; file->name[size] = 0;' 'return 1; file->name[size] = 0;'
mutate 'a new file has its own mode' test_file \
    '(void)chmod(name, mode);' ''
mutate 'a read that is interrupted fails' test_file \
    'if (more < 0 && errno == EINTR) continue;' ''
mutate 'a failed save leaves its temporary file' test_file \
    'if (!save->published) remove(file->name);' ''
mutate 'nothing is synced before it gets its name' test_file \
    'if (produced && save->number >= 0 && !sessrec__sync(file->file)) sessrec__file_failed(file);' ''
mutate 'what killed processes left stays' test_file \
    'else if (!sessrec__remove_left(file->name, begins)) ++n;' 'else ++n;'
mutate 'what another process writes is taken for a leftover' test_file \
    'S_ISREG(status.st_mode) && !flock(file, LOCK_EX | LOCK_NB) &&' 'S_ISREG(status.st_mode) &&'
mutate 'of two files one stays new when the other fails' test_file \
    'else if (save->kept) (void)sessrec__file_rename(file, file->name, file->target);' ''

# ---- archives ----
mutate 'reserved bytes of a header may be anything' test_file \
    'return sessrec__all_zero(at, 24) ? SESSREC_OK' 'return 1 ? SESSREC_OK'
mutate 'bytes between sections may be anything' test_file \
    'if (!sessrec__all_zero(archive->file + before, section.offset - before))' 'if (0)'
mutate 'the checksum of a header is not compared' test_file \
    'if (sum != sessrec__crc32c(sessrec__crc32c(0, file, 28)' \
    'if (0 && sum != sessrec__crc32c(sessrec__crc32c(0, file, 28)'
mutate 'a matrix may have other columns' test_file \
    'if (want.rows != found.rows || want.columns != found.columns)' 'if (want.rows != found.rows)'
mutate 'a file may be longer than its header says' test_file \
    "if (sessrec__take(&at, 8) != size)" "if (sessrec__take(&at, 8) > size)"
mutate 'an event of neighbors may be an item without support' test_scorers \
    'if (item >= V || !knn->catalog.items->support[item]) return "events";' \
    'if (item >= V) return "events";'
mutate 'the number of distinct items of a session may be wrong in a file' test_scorers \
    'if (distinct < 1 || distinct != knn->distinct[s]) return "distinct";' ''
mutate 'the weight of a part may be infinite in a file' test_scorers \
    'if (!(weight > -1e30 && weight < 1e30))' 'if (0)'
mutate 'contexts of rules need not rise in a file' test_scorers \
    'if (c && order >= 0) return "contexts";' ''

# ---- more of neighbors ----
mutate 'frequent items are rare' 'test_scorers golden' \
    'sessrec__log64(S / supp)' 'sessrec__log64(supp / S)'
mutate 'places count from the first shared item' 'test_scorers golden' \
    '*star = p;' 'if (!*star) *star = p;'
mutate 'the weakest reason comes first' test_scorers \
    'reason->part > out[at - 1].part' 'reason->part < out[at - 1].part'

# ---- the service ----
mutate 'a visitor beyond the bound is forgotten unsaved' test_cli \
    'if (s->states && save_visitor(s, &s->sessions, v)) visitors_remove' 'if (s->states) visitors_remove'
mutate 'a session that was idle goes on' test_cli \
    'if (!v || !(s->idle > 0) || now - v->seen <= s->idle) break;' 'break;'

# ---- baselines and the signed-rank test ----
mutate 'a chain does not back off' golden \
    'if (found >= 0) best = found;' 'best = o + 1 < clicks->count ? -1 : found;'
mutate 'weights of clicks count from the oldest' 'golden test_scorers' \
    'items[clicks->count - 1 - d], before' 'items[d], before'
mutate 'of equally similar sessions the older is the neighbor' 'golden test_scorers' \
    'if (sim > 0 && sessrec__before((float)sim, INT32_MAX - session, work->neighbors))' \
    'if (sim > 0 && (float)sim >= work->neighbors->score)'
mutate 'an item that is not listed ties with the others' test_scorers \
    'if (!(value > -INFINITY)) e->tally[at].higher = items - 1;' \
    'if (!(value > -INFINITY)) e->tally[at].higher = listed;'
mutate 'a late session gets the last number' test_scorers \
    'while (place > 0 && knn->ends[place - 1] > time) --place;' ''
mutate 'a full list of sessions keeps its oldest' test_scorers \
    'memmove(sessions, sessions + 1, (size_t)place * sizeof *sessions);' ''
mutate 'a group may have one item more' test_scorers \
    'if (members < query->group_limit || group < 0) return 0;' \
    'if (members <= query->group_limit || group < 0) return 0;'
mutate 'the sessions of a file need not rise' test_scorers \
    'knn->ends[s] < knn->ends[s - 1]' '0'
mutate 'a user forgets what he clicked' 'golden test_baselines' \
    'memcpy(user, state, sizeof(experiment_clicks));' '(void)user;'
mutate 'the signed ranks do without the correction for ties' test_eval \
    '/ 24 - ties / 48);' '/ 24);'
mutate 'the signed ranks do without the correction for continuity' test_eval \
    'distance = fabs(excess) - 0.5;' 'distance = fabs(excess);'
mutate 'the signed ranks count from 0' test_eval \
    '((double)(i + 1 + end) / 2);' '((double)(i + end) / 2);'
mutate 'merged groups forget how many events each has' test_eval \
    'all.mrr[c] += groups[g].mrr[c] * events;' 'all.mrr[c] += groups[g].mrr[c];'
wait

i=0
while [ "$i" -lt "$number" ]; do
    i=$((i + 1))
    cat "$work/$i.result"
done >"$work/all"
noticed=$(grep -c '^noticed' "$work/all")
if [ "$check" ]; then
    grep -v '^noticed' "$work/all"
    echo "$noticed of $number faults can be made"
else
    cat "$work/all"
    echo "$noticed of $number faults noticed$([ ! "$ends" ] || echo ", a sample of $listed")"
fi
[ "$noticed" -eq "$number" ] && [ "$number" -gt 0 ]
