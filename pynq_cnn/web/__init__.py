"""The page that `pynq-cnn web` serves.

page       its files: plain HTML, CSS and JavaScript, nothing from elsewhere
pictures   arrays as pictures that a page can show
guard      who may ask: the Host header, the token, the origin
desk       classifiers, opened when they are first asked for, one picture at a time on each
handlers   the addresses; needs tornado
server     from the socket to Ctrl-C; needs tornado
"""
