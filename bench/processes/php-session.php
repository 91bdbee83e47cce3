<?php
// A PHP process with sessions: takes and frees the lock of one as it is told on stdin, and says when (hrtime, ms).
// Arguments: the server's host:port; then the save handler's settings come by -d.
ini_set('session.save_handler', 'memcached');
ini_set('session.save_path', $argv[1]);
ini_set('session.use_cookies', '0');
ini_set('session.use_only_cookies', '0');
ini_set('session.use_strict_mode', '0');
ini_set('session.cache_limiter', '');
ini_set('memcached.sess_locking', '1');
fwrite(STDOUT, "ready\n");
while (($line = fgets(STDIN)) !== false) {
    [$verb, $argument] = explode(' ', trim($line));
    if ($verb === 'take') {
        session_id($argument);
        $came = hrtime(true) / 1e6;
        $taken = @session_start();
        fwrite(STDOUT, ($taken ? 'taken' : 'refused') . ' ' . $came . ' ' . hrtime(true) / 1e6 . "\n");
    } else {
        usleep((int) ((float) $argument * 1000));
        $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
        $freed = hrtime(true) / 1e6;
        session_write_close();
        fwrite(STDOUT, 'freed ' . $freed . "\n");
    }
}
