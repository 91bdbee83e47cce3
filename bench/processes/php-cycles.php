<?php
// A PHP process with sessions, on PHP's own files or another store: cycles as many as it can for a while, as it is told on stdin.
// Arguments: the save path, the save handler. A line "first sessions forMs" is answered by "cyclesPerSecond p50Ms p99Ms".
foreach (['save_handler' => $argv[2], 'save_path' => $argv[1], 'use_cookies' => '0', 'use_only_cookies' => '0', 'use_strict_mode' => '0', 'cache_limiter' => '', 'gc_probability' => '0'] as $name => $value) {
    ini_set("session.$name", $value);
}
$pad = str_repeat('abcdefghijklmnopqrstuvwxyz012345', 10);
fwrite(STDOUT, "ready\n");
while (($line = fgets(STDIN)) !== false) {
    [$first, $sessions, $forMs] = array_map('intval', explode(' ', trim($line)));
    $latencies = [];
    $cycles = 0;
    $start = $began = hrtime(true);
    $end = $start + $forMs * 1000000;
    while ($began < $end) {
        session_id(sprintf('s%07d', $first + mt_rand(0, $sessions - 1)));
        session_start();
        $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
        $_SESSION['pad'] ??= $pad;
        session_write_close();
        $now = hrtime(true);
        if (++$cycles % 4 === 0) $latencies[] = ($now - $began) / 1e6;
        $began = $now;
    }
    sort($latencies);
    $count = count($latencies);
    $at = fn ($share) => $latencies[(int) ($share * ($count - 1))] ?? 0;
    fwrite(STDOUT, $cycles / (($began - $start) / 1e9) . ' ' . $at(0.5) . ' ' . $at(0.99) . "\n");
}
