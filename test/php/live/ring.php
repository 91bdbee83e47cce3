<?php
// The server on which libmemcached places each key of standard input: argv is the ring, the servers as JSON, the prefix.
[, $ring, $servers, $prefix] = $argv;
$client = new Memcached();
$client->setOption(Memcached::OPT_DISTRIBUTION, $ring === 'ketama' ? Memcached::DISTRIBUTION_CONSISTENT : Memcached::DISTRIBUTION_MODULA);
$client->setOption(Memcached::OPT_PREFIX_KEY, $prefix);
$client->addServers(json_decode($servers, true));
while (($key = fgets(STDIN)) !== false) {
    $server = $client->getServerByKey(rtrim($key, "\n"));
    echo $server['host'], ':', $server['port'], "\n";
}
