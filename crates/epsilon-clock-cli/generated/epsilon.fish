# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_epsilon_global_optspecs
    string join \n version h/help
end

function __fish_epsilon_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_epsilon_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_epsilon_using_subcommand
    set -l cmd (__fish_epsilon_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c epsilon -n "__fish_epsilon_needs_command" -l version -d 'print the version (also -V)'
complete -c epsilon -n "__fish_epsilon_needs_command" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "now" -d 'print an interval that contains UTC now, and what its width is made of'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "doctor" -d 'tell on one page how good this machine\'s clock is, and what would better it'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "watch" -d 'show the interval, epsilon over time and each source\'s state, live'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "sources" -d 'print what each source says by itself: its interval, or why it gives none'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "serve" -d 'serve the clock over HTTP: a page, /metrics for Prometheus, /json and /healthz'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "compare" -d 'say which of two intervals or stamps is surely first, and by how much'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "hlc" -d 'read stamps of hybrid logical clocks'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "completions" -d 'print a script that completes the command\'s arguments in a shell'
complete -c epsilon -n "__fish_epsilon_needs_command" -f -a "manual" -d 'print a page of the manual as man reads it: epsilon manual now | man -l -'
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l assume-error -d 'vouch for the machine\'s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l max-drift-ppm -d 'how far the oscillator may run off, in parts per million [200]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l source -d 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]' -r -f -a "kernel\t''
chrony\t''"
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l ntp -d 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l nts -d 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l nts-roots -d 'root certificates in PEM, which alone are trusted to sign those of --nts [the system\'s]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l watch -d 'repeat each second, on one line'
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l json -d 'print one JSON object (with --watch, one a second)'
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l strict -d 'exit with 2 where there is no interval'
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l accept-unsync-flag -d 'believe a bound that the kernel flags as unsynchronised'
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -l accept-local -d 'believe NTP servers that serve their own clock'
complete -c epsilon -n "__fish_epsilon_using_subcommand now" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -l watch -d 'how long to watch the clock, up to an hour [3]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -l ntp -d 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -l nts -d 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -l nts-roots -d 'root certificates in PEM, which alone are trusted to sign those of --nts [the system\'s]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -l strict -d 'exit with 2 where the clock gives no interval'
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -l accept-local -d 'believe NTP servers that serve their own clock'
complete -c epsilon -n "__fish_epsilon_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l count -d 'end after N views, one a second [go on until interrupted]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l assume-error -d 'vouch for the machine\'s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l max-drift-ppm -d 'how far the oscillator may run off, in parts per million [200]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l source -d 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]' -r -f -a "kernel\t''
chrony\t''"
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l ntp -d 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l nts -d 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l nts-roots -d 'root certificates in PEM, which alone are trusted to sign those of --nts [the system\'s]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l accept-unsync-flag -d 'believe a bound that the kernel flags as unsynchronised'
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -l accept-local -d 'believe NTP servers that serve their own clock'
complete -c epsilon -n "__fish_epsilon_using_subcommand watch" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l assume-error -d 'vouch for the machine\'s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l max-drift-ppm -d 'how far the oscillator may run off, in parts per million [200]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l source -d 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]' -r -f -a "kernel\t''
chrony\t''"
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l ntp -d 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l nts -d 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l nts-roots -d 'root certificates in PEM, which alone are trusted to sign those of --nts [the system\'s]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l json -d 'print one JSON object'
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l accept-unsync-flag -d 'believe a bound that the kernel flags as unsynchronised'
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -l accept-local -d 'believe NTP servers that serve their own clock'
complete -c epsilon -n "__fish_epsilon_using_subcommand sources" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l listen -d 'where to listen; port 0 takes any that is free [127.0.0.1:9184]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l max-error -d 'how large epsilon may be for /healthz to answer 200 [250ms]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l assume-error -d 'vouch for the machine\'s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l max-drift-ppm -d 'how far the oscillator may run off, in parts per million [200]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l source -d 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]' -r -f -a "kernel\t''
chrony\t''"
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l ntp -d 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l nts -d 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l nts-roots -d 'root certificates in PEM, which alone are trusted to sign those of --nts [the system\'s]' -r
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l accept-unsync-flag -d 'believe a bound that the kernel flags as unsynchronised'
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -l accept-local -d 'believe NTP servers that serve their own clock'
complete -c epsilon -n "__fish_epsilon_using_subcommand serve" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand compare" -l json -d 'print one JSON object'
complete -c epsilon -n "__fish_epsilon_using_subcommand compare" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand hlc; and not __fish_seen_subcommand_from decode" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand hlc; and not __fish_seen_subcommand_from decode" -f -a "decode" -d 'print the physical time and the counter of a stamp, and its bytes'
complete -c epsilon -n "__fish_epsilon_using_subcommand hlc; and __fish_seen_subcommand_from decode" -l json -d 'print one JSON object'
complete -c epsilon -n "__fish_epsilon_using_subcommand hlc; and __fish_seen_subcommand_from decode" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand completions" -s h -l help -d 'Print help'
complete -c epsilon -n "__fish_epsilon_using_subcommand manual" -s h -l help -d 'Print help'
