"""Words: the nouns everybody shares and the ports that engines implement."""
