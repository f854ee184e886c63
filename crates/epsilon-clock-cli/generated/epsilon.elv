
use builtin;
use str;

set edit:completion:arg-completer[epsilon] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'epsilon'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'epsilon'= {
            cand --version 'print the version (also -V)'
            cand -h 'Print help'
            cand --help 'Print help'
            cand now 'print an interval that contains UTC now, and what its width is made of'
            cand doctor 'tell on one page how good this machine''s clock is, and what would better it'
            cand watch 'show the interval, epsilon over time and each source''s state, live'
            cand sources 'print what each source says by itself: its interval, or why it gives none'
            cand serve 'serve the clock over HTTP: a page, /metrics for Prometheus, /json and /healthz'
            cand compare 'say which of two intervals or stamps is surely first, and by how much'
            cand hlc 'read stamps of hybrid logical clocks'
            cand completions 'print a script that completes the command''s arguments in a shell'
            cand manual 'print a page of the manual as man reads it: epsilon manual now | man -l -'
        }
        &'epsilon;now'= {
            cand --assume-error 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)'
            cand --max-drift-ppm 'how far the oscillator may run off, in parts per million [200]'
            cand --source 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]'
            cand --ntp 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named'
            cand --nts 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)'
            cand --nts-roots 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]'
            cand --watch 'repeat each second, on one line'
            cand --json 'print one JSON object (with --watch, one a second)'
            cand --strict 'exit with 2 where there is no interval'
            cand --accept-unsync-flag 'believe a bound that the kernel flags as unsynchronised'
            cand --accept-local 'believe NTP servers that serve their own clock'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;doctor'= {
            cand --watch 'how long to watch the clock, up to an hour [3]'
            cand --ntp 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named'
            cand --nts 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)'
            cand --nts-roots 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]'
            cand --strict 'exit with 2 where the clock gives no interval'
            cand --accept-local 'believe NTP servers that serve their own clock'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;watch'= {
            cand --count 'end after N views, one a second [go on until interrupted]'
            cand --assume-error 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)'
            cand --max-drift-ppm 'how far the oscillator may run off, in parts per million [200]'
            cand --source 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]'
            cand --ntp 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named'
            cand --nts 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)'
            cand --nts-roots 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]'
            cand --accept-unsync-flag 'believe a bound that the kernel flags as unsynchronised'
            cand --accept-local 'believe NTP servers that serve their own clock'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;sources'= {
            cand --assume-error 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)'
            cand --max-drift-ppm 'how far the oscillator may run off, in parts per million [200]'
            cand --source 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]'
            cand --ntp 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named'
            cand --nts 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)'
            cand --nts-roots 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]'
            cand --json 'print one JSON object'
            cand --accept-unsync-flag 'believe a bound that the kernel flags as unsynchronised'
            cand --accept-local 'believe NTP servers that serve their own clock'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;serve'= {
            cand --listen 'where to listen; port 0 takes any that is free [127.0.0.1:9184]'
            cand --max-error 'how large epsilon may be for /healthz to answer 200 [250ms]'
            cand --assume-error 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)'
            cand --max-drift-ppm 'how far the oscillator may run off, in parts per million [200]'
            cand --source 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]'
            cand --ntp 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named'
            cand --nts 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)'
            cand --nts-roots 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]'
            cand --accept-unsync-flag 'believe a bound that the kernel flags as unsynchronised'
            cand --accept-local 'believe NTP servers that serve their own clock'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;compare'= {
            cand --json 'print one JSON object'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;hlc'= {
            cand -h 'Print help'
            cand --help 'Print help'
            cand decode 'print the physical time and the counter of a stamp, and its bytes'
        }
        &'epsilon;hlc;decode'= {
            cand --json 'print one JSON object'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;completions'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'epsilon;manual'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
    ]
    $completions[$command]
}
