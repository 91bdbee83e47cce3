<?php
eval($argv[1]);
